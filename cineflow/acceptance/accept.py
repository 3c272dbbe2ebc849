"""The whole walk, in order, and the head and the end of its record."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

import requests

from cineflow.acceptance import checks, steps
from cineflow.acceptance.client import Unmet, read
from cineflow.acceptance.record import Record
from cineflow.acceptance.shapes import Page, Provider
from cineflow.acceptance.walk import Line, Step, Walk, take


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where and of what the walk is, for the head of the record."""

    version: str
    environment: str
    today: datetime


def accept(walk: Walk, site: Site, *, tell: Callable[[str, Line | None], None]) -> Record:
    """Walk everything. `tell` is called with each part's title, then with each of its lines."""
    guarded, providers = _is_guarded(walk), _providers(walk)
    record = Record(facts=_facts(walk, site, guarded), inputs=_inputs(guarded, providers))

    def part(title: str, todo: Iterable[Step]) -> list[Line]:
        tell(title, None)
        lines = []
        for line in take(todo, walk):
            tell(title, line)
            lines.append(line)
        return lines

    record.dry = part("Dry run: the twelve steps", steps.DRY_STEPS)
    record.real = part("Real run: this machine renders both shots", steps.REAL_STEPS)
    record.failing = part("A run that fails", steps.FAILING_STEPS)
    record.filters = part("Filters and sorting", checks.FILTERS)
    record.errors = part("Errors", checks.ERRORS)
    record.to_do = _to_do(guarded, providers)
    return record


def _is_guarded(walk: Walk) -> bool:
    try:
        return checks.is_guarded(walk)
    except requests.RequestException:
        return False


def _providers(walk: Walk) -> list[Provider]:
    try:
        return read(walk.api.get("/providers"), 200, Page[Provider]).items
    except (Unmet, requests.RequestException):
        return []


def _facts(walk: Walk, site: Site, guarded: bool) -> list[tuple[str, str]]:
    return [
        ("项目名称", "CineFlow"),
        ("联调版本/分支", site.version),
        ("Base URL", walk.api.url),
        ("认证方式", "Bearer" if guarded else "匿名（未设置 `AUTH_TOKEN`）"),
        ("执行人", "`manage.py demo`（自动）"),
        ("执行日期", site.today.strftime("%Y-%m-%d %H:%M %Z")),
        ("环境备注", site.environment),
        ("请求头示例", "`Authorization: Bearer ${AUTH_TOKEN}`" if guarded else "无"),
    ]


def _inputs(guarded: bool, providers: list[Provider]) -> list[tuple[str, str]]:
    usable = [found.display_name for found in providers if found.configured]
    run = steps.DRY_RUN
    told = (f"`{name}={run[name]}`" for name in ("gen_count", "range", "concurrency"))
    return [
        ("`AUTH_TOKEN`", "已设置" if guarded else "未设置"),
        ("Provider Key", f"可用：{'、'.join(usable) or '无'}"),
        ("是否使用 `dry_run`", "是（3.1）；3.2 为真实生成，preview 无需 Key、无成本"),
        ("测试数据（Storyboard 文件名）", steps.SAMPLE.name),
        ("关键参数", "、".join(told)),
    ]


def _to_do(guarded: bool, providers: list[Provider]) -> list[str]:
    missing = [found.display_name for found in providers if found.enabled and not found.configured]
    to_do = []
    if missing:
        to_do.append(f"若需真机生成，请补齐 Provider Key（{'、'.join(missing)}）")
    if not guarded:
        to_do.append("对外开放前请设置 AUTH_TOKEN")
    return to_do
