"""Azure OpenAI's v1 form of the protocol: the key in a header of its own, deployments for models."""

from aiohttp import web

from providers.simulator import orders
from providers.simulator.jobs import Order
from providers.simulator.refusals import Words
from providers.simulator.videos import WORDS, Videos

PREFIX = "/azure/openai/v1"

_FILTERED = Words(
    400, "The response was filtered due to the prompt triggering a policy.", "content_filter"
)


class Azure(Videos):
    words = {**WORDS, "400": _FILTERED, "moderation": _FILTERED}
    failures = {
        "moderation": ("contentFilter", "The output was filtered."),
        "server_error": ("server_error", "The server had an error."),
    }
    posts_cancels = False

    def key_of(self, request: web.Request) -> str:
        return request.headers.get("api-key", "").strip()

    async def read_order(self, request: web.Request) -> Order:
        return orders.openai_order(await orders.fields_of(request), models=())


build_app = Azure().build_app
