"""The provider that lives here: it takes every job at once, and this machine draws the video."""

from collections.abc import Mapping
from typing import Any

from providers.base import (
    Accepted,
    Account,
    CannotLookUp,
    GenerationRequest,
    HttpAnswer,
    HttpCall,
    LookUpOutcome,
    NotCanceled,
    PollOutcome,
    RenderLocally,
    SeenJob,
    SubmitOutcome,
)
from providers.errors import UnexpectedReply


class Preview:
    """Speaks with nobody, so nobody answers."""

    def submit(self, account: Account, request: GenerationRequest) -> Accepted:
        return Accepted(job_id=f"preview-{request.token}", output={})

    def read_submit(self, answer: HttpAnswer) -> SubmitOutcome:
        raise UnexpectedReply("a preview is never submitted")

    def poll(self, account: Account, job_id: str) -> HttpCall:
        raise UnexpectedReply("a preview is never polled")

    def read_poll(self, answer: HttpAnswer) -> PollOutcome:
        raise UnexpectedReply("a preview is never polled")

    def fetch(self, account: Account, job_id: str, output: Mapping[str, Any]) -> RenderLocally:
        return RenderLocally()

    def look_up(self, account: Account, page: str | None) -> None:
        return None

    def read_look_up(self, answer: HttpAnswer) -> LookUpOutcome:
        return CannotLookUp()

    def matches(self, request: GenerationRequest, job: SeenJob) -> bool:
        return False

    def cancel(self, account: Account, job_id: str) -> None:
        return None

    def read_cancel(self, answer: HttpAnswer) -> NotCanceled:
        return NotCanceled()

    def image_size(self, resolution: str, model: str) -> None:
        return None
