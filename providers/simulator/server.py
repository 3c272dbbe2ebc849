"""One port, one engine, one prefix for each dialect."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from aiohttp import web
from aiohttp.typedefs import Handler

from providers.simulator import (
    aihubmix,
    ark,
    azure,
    control,
    fal,
    files,
    litellm,
    minimax,
    newapi,
    openai,
    openrouter,
    replicate,
    runway,
    sglang,
    sorahk,
    vllm,
)
from providers.simulator.engine import ENGINE, Engine
from providers.simulator.ledger import POST
from providers.simulator.quoting import quote_key
from providers.simulator.webhooks import OUTBOX, Outbox

# Whoever has a PREFIX and a build_app(). A longer prefix comes before the one it begins with.
_PARTS = (
    control,
    files,
    openai,
    azure,
    newapi,
    sglang,
    vllm,
    litellm,
    aihubmix,
    sorahk,
    openrouter,
    ark,
    minimax,
    fal,
    replicate,
    runway,
)

# A scripted hang must not hold up the end of a test.
_GRACE = 0.5


def build_app(engine: Engine) -> web.Application:
    app = web.Application(middlewares=[_record_posts, quote_key])
    app[ENGINE] = engine
    app[OUTBOX] = Outbox()
    app.on_shutdown.append(app[OUTBOX].close)
    for part in _PARTS:
        app.add_subapp(part.PREFIX, part.build_app())
    return app


@asynccontextmanager
async def serving(engine: Engine, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[int]:
    """Serve until the block ends; gives the port that was bound."""
    runner = web.AppRunner(build_app(engine), access_log=None, shutdown_timeout=_GRACE)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def run(engine: Engine, *, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `announce` gets one line once the port is bound."""
    asyncio.run(_until_signalled(engine, host, port, announce))


async def _until_signalled(
    engine: Engine, host: str, port: int, announce: Callable[[str], None]
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows has no handlers in the loop
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving(engine, host=host, port=port) as bound:
        announce(f"simulator listening on http://{host}:{bound}{openai.PREFIX}")
        await stop.wait()


def _is_cancel(request: web.Request) -> bool:
    """The ledger of POSTs is about what may cost money."""
    return request.path.endswith("/cancel")


@web.middleware
async def _record_posts(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every POST is in the ledger from the moment it arrives, whatever becomes of it."""
    if request.method != "POST" or request.path.startswith(control.PREFIX) or _is_cancel(request):
        return await handler(request)
    key = request.headers.get("Idempotency-Key")
    post = request[POST] = request.config_dict[ENGINE].receive(request.path, key)
    response = await handler(request)
    # A client that hung up, or that we hung up on, got no status.
    if request.transport and not request.transport.is_closing():
        post.status = response.status
    return response
