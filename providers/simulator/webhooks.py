"""Notices of ended jobs: sent to whom the submit named, signed as the vendor signs, or wrongly as a prompt asks.

A dialect says what a notice holds and how it is signed, and calls `announce` once its job is made.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from providers.simulator.engine import ENGINE, Engine
from providers.simulator.faults import Fault
from providers.simulator.jobs import Job

# From an event's id, its time (Unix seconds) and its body to the headers it is sent with.
Sign = Callable[[str, int, bytes], Mapping[str, str]]

_AN_HOUR = 3600
_GLANCE = 0.02
_TRIES = 3
_PAUSE = 0.2
_PATIENCE = aiohttp.ClientTimeout(total=10)
_FALS_KEY = Ed25519PrivateKey.generate()


# ---- how vendors sign ----------------------------------------------------------------------------


def standard(secret: str) -> Sign:
    """As OpenAI and Replicate do, by the Standard Webhooks; `secret` is `whsec_…`."""
    key = base64.b64decode(secret.removeprefix("whsec_"))

    def sign(event_id: str, sent_at: int, body: bytes) -> dict[str, str]:
        digest = hmac.digest(key, f"{event_id}.{sent_at}.".encode() + body, hashlib.sha256)
        return {
            "webhook-id": event_id,
            "webhook-timestamp": str(sent_at),
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        }

    return sign


def timed(secret: str, *, prefix: str) -> Sign:
    """As OpenRouter does: `t=<time>,v1=<hex>` of "<time>,<body>"; `prefix` begins its headers' names."""

    def sign(event_id: str, sent_at: int, body: bytes) -> dict[str, str]:
        digest = hmac.digest(secret.encode(), f"{sent_at},".encode() + body, hashlib.sha256)
        return {
            f"{prefix}Idempotency-Key": event_id,
            f"{prefix}Signature": f"t={sent_at},v1={digest.hex()}",
        }

    return sign


def fals(event_id: str, sent_at: int, body: bytes) -> dict[str, str]:
    """Ed25519 over four lines; whoever has fal's public key can verify it."""
    lines = [event_id, "github|simulated", str(sent_at), hashlib.sha256(body).hexdigest()]
    names = ("Request-Id", "User-Id", "Timestamp")
    headers = {f"X-Fal-Webhook-{name}": line for name, line in zip(names, lines, strict=False)}
    signature = _FALS_KEY.sign("\n".join(lines).encode()).hex()
    return headers | {"X-Fal-Webhook-Signature": signature}


def fals_keys() -> dict[str, Any]:
    """Its public key as a JWKS; one that is out of use stands before it."""
    listed = (Ed25519PrivateKey.from_private_bytes(bytes(32)), _FALS_KEY)
    return {
        "keys": [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "use": "sig",
                "alg": "EdDSA",
                "x": urlsafe_b64encode(key.public_key().public_bytes_raw()).decode().rstrip("="),
            }
            for key in listed
        ]
    }


# ---- sending -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Subscription:
    """Who is told, how it is signed, and what of an ended job; `event_id` names the event, else a random one."""

    url: str
    sign: Sign
    tell: Callable[[Job], Mapping[str, Any]]
    event_id: Callable[[Job], str] = lambda job: f"msg_{secrets.token_hex(12)}"


class Outbox:
    """Notices that are still to be sent."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, sending: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(sending)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self, app: web.Application) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


OUTBOX = web.AppKey("outbox", Outbox)


async def announce(request: web.Request, job: Job, subscription: Subscription) -> None:
    """See to it that the end of a job is told. Returns at once, or where it is to come early, after it."""
    engine = request.config_dict[ENGINE]
    fault = job.script.fault("webhook", 0)
    if fault == Fault("none"):
        return
    sending = _when_ended(engine, job, subscription, fault)
    if fault == Fault("early"):
        await sending
    else:
        request.config_dict[OUTBOX].add(sending)


async def _when_ended(
    engine: Engine, job: Job, subscription: Subscription, fault: Fault | None
) -> None:
    while not (job.canceled or job.finished(engine.now())):
        await asyncio.sleep(_GLANCE)
    name = fault.name if fault else ""
    sent_at = int(time.time()) - (_AN_HOUR if name == "stale" else 0)
    event_id = subscription.event_id(job)
    body = json.dumps(subscription.tell(job), ensure_ascii=False).encode()
    signed = body + b" " if name == "bad_signature" else body
    headers = {"Content-Type": "application/json"} | dict(
        subscription.sign(event_id, sent_at, signed)
    )
    for _ in range(2 if name == "duplicate" else 1):
        status = await _post(subscription.url, headers, body)
        told = {"job_id": job.id, "url": subscription.url, "event_id": event_id, "status": status}
        engine.ledger.webhooks.append(told)


async def _post(url: str, headers: Mapping[str, str], body: bytes) -> int | None:
    """The answer's status; None when nobody was there, a few times over."""
    async with aiohttp.ClientSession(timeout=_PATIENCE) as session:
        for _ in range(_TRIES):
            try:
                async with session.post(
                    url, data=body, headers=headers, allow_redirects=False
                ) as answer:
                    return answer.status
            except (aiohttp.ClientError, OSError, ValueError):
                await asyncio.sleep(_PAUSE)
    return None
