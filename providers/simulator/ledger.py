"""What reached the simulator: tests of the paid path count POSTs here."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from providers.simulator.jobs import Order


@dataclass(slots=True)
class Post:
    """One POST that arrived. `status` stays None while, and if, nobody got an answer."""

    time: float
    path: str
    key: str | None = None  # its Idempotency-Key
    outcome: str = "received"
    status: int | None = None
    order: Order | None = None
    job_id: str | None = None

    def as_json(self) -> dict[str, Any]:
        order = self.order
        return {
            "time": self.time,
            "path": self.path,
            "idempotency_key": self.key,
            "outcome": self.outcome,
            "status": self.status,
            "prompt": order and order.prompt,
            "model": order and order.model,
            "seconds": order and order.seconds,
            "size": order and order.size,
            "image_sha256": order and order.image_sha256,
            "image_url": order and order.image_url,
            "created": self.job_id is not None,
            "job_id": self.job_id,
        }


POST = web.RequestKey("post", Post)


class Ledger:
    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.polls: Counter[str] = Counter()
        self.listings: Counter[str] = Counter()
        self.fetches: Counter[str] = Counter()
        self.deletes: list[str] = []
        self.cancels: Counter[str] = Counter()
        # Requests that came to another origin than the provider's own, and whether a key came along.
        self.redirected: list[dict[str, Any]] = []
        self.links: list[dict[str, Any]] = []
        self.webhooks: list[dict[str, Any]] = []

    def receive(self, post: Post) -> Post:
        self.posts.append(post)
        return post


def count(counter: Counter[str], job_id: str) -> int:
    """Count one more request for a job and tell how many came before it."""
    earlier = counter[job_id]
    counter[job_id] = earlier + 1
    return earlier
