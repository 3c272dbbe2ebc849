"""The whole walk, in order, and the head and the end of its record."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

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
    record = Record(facts=_facts(walk, site), inputs=_inputs(walk))

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
    record.to_do = _to_do(walk)
    return record


def _facts(walk: Walk, site: Site) -> list[tuple[str, str]]:
    guarded = checks.is_guarded(walk)
    return [
        ("项目名称", "CineFlow"),
        ("联调版本/分支", site.version),
        ("Base URL", walk.api.url),
        ("认证方式", "Bearer" if guarded else "匿名（未设置 `AUTH_TOKEN`）"),
        ("执行人", "`manage.py demo`（自动）"),
        ("执行日期", site.today.strftime("%Y-%m-%d %H:%M %Z").strip()),
        ("环境备注", site.environment),
        ("请求头示例", "`Authorization: Bearer ${AUTH_TOKEN}`" if guarded else "无"),
    ]


def _inputs(walk: Walk) -> list[tuple[str, str]]:
    keyed = [
        f"{provider.display_name}"
        for provider in _providers(walk)
        if provider.id != "preview" and provider.configured
    ]
    return [
        ("`AUTH_TOKEN`", "已设置" if checks.is_guarded(walk) else "未设置"),
        (
            "Provider Key",
            "、".join(keyed) if keyed else "未配置（真实生成使用本机 preview，无需 Key）",
        ),
        ("是否使用 `dry_run`", "是（3.1）；3.2 为真实生成"),
        ("测试数据（Storyboard 文件名）", steps.SAMPLE.name),
        ("关键参数", "`gen_count=1`、`range=all`、`concurrency=3`"),
    ]


def _to_do(walk: Walk) -> list[str]:
    missing = [
        found.display_name for found in _providers(walk) if found.enabled and not found.configured
    ]
    to_do = []
    if missing:
        to_do.append(f"若需真机生成，请补齐 Provider Key（{'、'.join(missing)}）")
    if not checks.is_guarded(walk):
        to_do.append("对外开放前请设置 AUTH_TOKEN")
    return to_do


def _providers(walk: Walk) -> list[Provider]:
    try:
        return read(walk.api.get("/providers"), 200, Page[Provider]).items
    except Unmet:
        return []
