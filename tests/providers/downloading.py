from pathlib import Path

from providers.base import HttpCall
from providers.http import Downloaded, Order, Transport


def downloaded(
    transport: Transport,
    call: HttpCall,
    target: Path,
    *,
    timeout: float = 30,
    max_bytes: int = 10**8,
) -> Downloaded:
    """One file, waited for."""
    order = Order(call, target, timeout, max_bytes, lambda done: done)
    (future,) = transport.download_all([order])
    return future.result()
