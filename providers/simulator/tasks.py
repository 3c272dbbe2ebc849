"""Tasks made of `content` parts, as Ark and MiniMax both have them: reading an order, states, lists."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from aiohttp import web

from providers.simulator import envelope, pictures
from providers.simulator.engine import ENGINE
from providers.simulator.envelope import Words
from providers.simulator.faults import Fault
from providers.simulator.jobs import Job, Order

_RATIOS = ("16:9", "9:16", "4:3", "3:4", "1:1", "21:9")
_STATUS = {"canceled": "cancelled"}
# States of their own that a job may end in.
_ENDS = ("expired", "cancelled")


@dataclass(frozen=True)
class Model:
    """What a model of theirs makes: seconds, and the short side of the picture by resolution."""

    seconds: range
    resolutions: Mapping[str, int]


def read_order(fields: Mapping[str, Any], models: Mapping[str, Model], words: Words) -> Order:
    name = fields.get("model")
    if not isinstance(name, str) or name not in models:
        raise words.error(Fault("404"), str(name))
    model = models[name]
    texts, images = _parts(fields.get("content"), words)
    if len(texts) != 1 or not texts[0].strip() or len(images) > 1:
        raise words.bad("content: one text and at most one first frame")
    seconds = fields.get("duration", 5)
    if type(seconds) is not int or seconds not in model.seconds:
        raise words.bad(f"duration: {name} makes {model.seconds[0]} to {model.seconds[-1]}")
    short = model.resolutions.get(str(fields.get("resolution")))
    if short is None:
        raise words.bad(f"resolution: {name} makes {', '.join(model.resolutions)}")
    width, height = _size(fields.get("ratio"), short, words)
    picture = pictures.read(images[0]) if images else pictures.Picture()
    return Order(texts[0], name, seconds, width, height, picture.sha256, picture.url)


def _parts(content: object, words: Words) -> tuple[list[str], list[object]]:
    texts: list[str] = []
    images: list[object] = []
    for part in content if isinstance(content, list) else []:
        match part:
            case {"type": "text", "text": str(text), **rest} if not rest:
                texts.append(text)
            case {
                "type": "image_url",
                "image_url": {"url": url},
                "role": "first_frame",
                **rest,
            } if not rest:
                images.append(url)
            case _:
                raise words.bad("content: a part that this model does not take")
    return texts, images


def _size(ratio: object, short: int, words: Words) -> tuple[int, int]:
    if ratio not in _RATIOS:
        raise words.bad(f"ratio: expected one of {', '.join(_RATIOS)}")
    across, down = map(int, str(ratio).split(":"))
    long = round(short * max(across, down) / min(across, down) / 2) * 2
    return (long, short) if across >= down else (short, long)


# ---- answers -------------------------------------------------------------------------------------


def status(job: Job, now: float, lie: str = "") -> str:
    """The word for a job's state, or for what the fault `lie` says of it."""
    match lie:
        case "stuck":
            return "queued"
        case "unknown_status":
            return "rendering"
    found = job.status(now)
    if found == "failed" and job.script.fail in _ENDS:
        return job.script.fail
    return _STATUS.get(found, found)


def ratio_of(order: Order) -> str:
    return next(
        name
        for name in _RATIOS
        if abs(order.width / order.height - int(name.split(":")[0]) / int(name.split(":")[1]))
        < 0.02
    )


def listed(
    request: web.Request, words: Words, show: Callable[[Job], dict[str, Any]]
) -> web.Response:
    """One page, newest first."""
    engine = request.config_dict[ENGINE]
    if engine.settings.list_status:
        return words.error(Fault(str(engine.settings.list_status))).answer()
    number, size = _number(request, "page_num", 1, words), _number(request, "page_size", 10, words)
    jobs = list(_wanted(request))
    page = islice(jobs, (number - 1) * size, number * size)
    items = [show(job) for job in page if engine.shown_in_list(job)]
    return web.json_response({"items": items, "total": len(jobs)})


def _wanted(request: web.Request) -> Iterator[Job]:
    engine, query = request.config_dict[ENGINE], request.query
    for job in engine.jobs.after(None, newest_first=True):
        named = query.getall("filter.task_ids", [job.id])
        if query.get("filter.model", job.order.model) == job.order.model and job.id in named:
            state = status(job, engine.now())
            if query.get("filter.status", state) == state:
                yield job


def _number(request: web.Request, name: str, default: int, words: Words) -> int:
    text = request.query.get(name, str(default))
    if not text.isdigit() or not 1 <= int(text) <= 500:
        raise words.bad(f"{name}: expected 1 to 500")
    return int(text)


def deleted(
    request: web.Request,
    words: Words,
    answer: Callable[[Job, str], web.Response],
    unknown: Callable[[], envelope.Refused],
) -> web.Response:
    """DELETE means two things: a task that waits is canceled, one that has ended is forgotten."""
    engine = request.config_dict[ENGINE]
    job = engine.jobs.find(request.match_info["id"])
    if job is None:
        raise unknown()
    fault = engine.cancel_fault(job)
    if fault and fault.name in ("unsupported", "too_late"):
        raise words.error(Fault("409"))
    if fault:
        return envelope.bare(request, fault) or words.error(fault).answer()
    match job.status(engine.now()):
        case "running":
            raise words.error(Fault("409"))
        case "queued":
            engine.cancel(job)
            return answer(job, "cancelled")
    engine.delete(job)
    return answer(job, "deleted")
