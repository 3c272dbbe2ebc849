"""A LiteLLM proxy: long ids that name a backend, statuses of several vendors, error codes that are numbers.

Facts: litellm 1.109.1, `proxy/video_endpoints` and `proxy/_types.py`.
"""

import base64
import secrets
from typing import Any

from aiohttp import web

from providers.simulator import orders
from providers.simulator.jobs import Job, Order
from providers.simulator.refusals import Words, openai_envelope
from providers.simulator.videos import WORDS, Videos

PREFIX = "/litellm/v1"

_MODERATED = Words(
    400, "litellm.ContentPolicyViolationError: ContentPolicyViolationError: blocked by moderation."
)
_NO_BUDGET = Words(400, "Budget has been exceeded! Current cost: 10.0", kind="budget_exceeded")


def _envelope(words: Words) -> dict[str, object]:
    """Whatever is wrong, the code is the status, as a string."""
    numbered = Words(words.status, words.message, str(words.status), words.kind, words.param)
    return openai_envelope(numbered)


class LiteLLM(Videos):
    words = {
        **WORDS,
        "400": _MODERATED,
        "moderation": _MODERATED,
        "401": Words(401, "Authentication Error, Invalid proxy server token", kind="auth_error"),
        "402": _NO_BUDGET,
        "balance": _NO_BUDGET,
        "insufficient_quota": _NO_BUDGET,
    }
    statuses = {**Videos.statuses, "running": "processing"}
    lists = False
    posts_cancels = False

    def envelope(self, words: Words) -> dict[str, object]:
        return _envelope(words)

    def new_id(self, order: Order) -> str:
        inner = f"video_{secrets.token_hex(24)}"
        text = f"litellm:custom_llm_provider:openai;model_id:{order.model};video_id:{inner}"
        return f"video_{base64.b64encode(text.encode()).decode()}"

    async def read_order(self, request: web.Request) -> Order:
        return orders.openai_order(await orders.fields_of(request), models=())

    def video(self, request: web.Request, job: Job) -> dict[str, Any]:
        shown = super().video(request, job)
        usage = {"duration_seconds": float(job.order.seconds)}
        return {**shown, "created_at": 0, "usage": usage}

    async def delete(self, request: web.Request) -> web.Response:
        raise web.HTTPMethodNotAllowed(request.method, ["GET"])


build_app = LiteLLM().build_app
