"""The provider that lives here: it takes every job at once, and this machine draws the video."""

from collections.abc import Mapping
from typing import Any

from providers.base import (
    Accepted,
    Account,
    Adapter,
    GenerationRequest,
    HttpAnswer,
    HttpCall,
    ImageInput,
    Job,
    PollOutcome,
    RenderLocally,
    SubmitOutcome,
)
from providers.errors import UnexpectedReply


class Preview(Adapter):
    """Speaks with nobody, so nobody answers."""

    image_inputs = tuple(ImageInput)  # it looks at none

    def submit(self, account: Account, request: GenerationRequest) -> Accepted:
        return Accepted(job_id=f"preview-{request.token}", output={})

    def read_submit(self, answer: HttpAnswer) -> SubmitOutcome:
        raise UnexpectedReply("a preview is never submitted")

    def poll(self, account: Account, job: Job) -> HttpCall:
        raise UnexpectedReply("a preview is never polled")

    def read_poll(self, account: Account, job: Job, answer: HttpAnswer) -> PollOutcome:
        raise UnexpectedReply("a preview is never polled")

    def fetch(self, account: Account, job: Job, output: Mapping[str, Any]) -> RenderLocally:
        return RenderLocally()
