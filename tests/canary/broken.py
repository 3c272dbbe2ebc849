"""An adapter whose every part fails in turn, with the key in the words of its exceptions."""

import base64
import json
import uuid
from collections.abc import Mapping
from typing import Any

from django.apps import AppConfig
from django.conf import settings

from providers import registry
from providers.base import (
    Accepted,
    Account,
    Adapter,
    Finished,
    GenerationRequest,
    HttpAnswer,
    HttpCall,
    Job,
    PollOutcome,
    Standing,
    SubmitOutcome,
)
from providers.errors import Failure, UnexpectedReply

STAGES = ("submit", "read_submit", "unreadable", "poll", "read_poll", "odd_poll", "fetch")


class Broken(Adapter):
    """A prompt names the stage at which it fails."""

    def submit(self, account: Account, request: GenerationRequest) -> HttpCall:
        stage = request.prompt.split()[0]
        _fail("submit", stage)
        url = f"{account.base_url}/videos?what={stage}"
        return HttpCall("POST", url, secret_headers={"Authorization": f"Bearer {account.key}"})

    def read_submit(self, answer: HttpAnswer) -> SubmitOutcome:
        stage = json.loads(answer.body)["what"]
        _fail("read_submit", stage)
        if stage == "unreadable":
            raise UnexpectedReply(_words())
        return Accepted(f"{stage}-{uuid.uuid4()}")

    def poll(self, account: Account, job: Job) -> HttpCall:
        _fail("poll", job.id.partition("-")[0])
        return HttpCall(
            "GET",
            f"{account.base_url}/videos",
            secret_headers={"Authorization": f"Bearer {account.key}"},
        )

    def read_poll(self, account: Account, job: Job, answer: HttpAnswer) -> PollOutcome:
        stage = job.id.partition("-")[0]
        _fail("read_poll", stage)
        if stage == "odd_poll":
            raise UnexpectedReply(_words())
        return Finished({"url": f"{account.base_url}/video"})

    def fetch(self, account: Account, job: Job, output: Mapping[str, Any]) -> HttpCall:
        raise RuntimeError(_words())

    def standing(self, account: Account) -> HttpCall:
        return HttpCall(
            "GET",
            f"{account.base_url}/standing",
            secret_headers={"Authorization": f"Bearer {account.key}"},
        )

    def read_standing(self, answer: HttpAnswer) -> Standing | Failure:
        return Standing(_words(), models=(_words(),))


def _fail(stage: str, wanted: str) -> None:
    if stage == wanted:
        raise RuntimeError(_words())


def _words() -> str:
    key = registry.account("broken").key
    headers = {"Authorization": f"Bearer {key}"}
    return f"{key} {headers} {base64.b64encode(key.encode()).decode()}"


class CanaryConfig(AppConfig):
    name = "tests.canary"
    label = "canary"

    def ready(self) -> None:
        registry._ADAPTERS = {**registry._ADAPTERS, "broken": Broken()}
        vendor = registry._Vendor("BROKEN", "BROKEN_API_KEY", ("broken.example",))
        registry._VENDORS = {**registry._VENDORS, "broken": vendor}
        assert "broken" in settings.PROVIDERS
