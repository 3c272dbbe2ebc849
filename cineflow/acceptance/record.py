"""The acceptance record, as Markdown in the words of the team's template."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cineflow.acceptance.walk import Line, Verdict

_STEP_HEAD = ("步骤", "接口", "期望结果", "实际结果", "结论(PASS/FAIL)", "备注")
_FILTER_HEAD = ("接口", "条件", "期望结果", "实际结果", "结论(PASS/FAIL)", "备注")


@dataclass
class Record:
    """What was walked, section by section; `facts` and `inputs` are pairs of a label and a text."""

    facts: list[tuple[str, str]] = field(default_factory=list)
    inputs: list[tuple[str, str]] = field(default_factory=list)
    dry: list[Line] = field(default_factory=list)
    real: list[Line] = field(default_factory=list)
    failing: list[Line] = field(default_factory=list)
    filters: list[Line] = field(default_factory=list)
    errors: list[Line] = field(default_factory=list)
    to_do: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[Line]:
        return [*self.dry, *self.real, *self.failing, *self.filters, *self.errors]

    @property
    def failed(self) -> list[Line]:
        return [line for line in self.lines if line.verdict == Verdict.FAIL]

    def count(self, verdict: Verdict) -> int:
        return sum(line.verdict == verdict for line in self.lines)


def as_markdown(record: Record) -> str:
    """With straight columns, so that it reads well as plain text too."""
    sections = (
        *("# 后端联调验收记录", "## 1. 基本信息", _bullets(record.facts)),
        *("## 2. 依赖配置确认", _bullets(record.inputs)),
        *(
            "## 3. 联调检查记录",
            "### 3.1 最小闭环（dry_run）",
            _table(_STEP_HEAD, map(_step_row, record.dry)),
        ),
        *("### 3.2 真实生成（preview）", _table(_STEP_HEAD, map(_step_row, record.real))),
        *("### 3.3 失败任务", _table(_STEP_HEAD, map(_step_row, record.failing))),
        *("## 4. 过滤/排序校验", _table(_FILTER_HEAD, map(_filter_row, record.filters))),
        *("## 5. 错误处理校验", "\n".join(map(_error_bullet, record.errors))),
        *("## 6. 问题记录与待办", _issues(record)),
    )
    return "\n\n".join(sections) + "\n"


def _step_row(line: Line) -> tuple[str, ...]:
    step = line.step
    return step.number, step.endpoint, step.expected, line.actual, line.verdict, step.note


def _filter_row(line: Line) -> tuple[str, ...]:
    step = line.step
    return step.endpoint, step.number, step.expected, line.actual, line.verdict, step.note


def _error_bullet(line: Line) -> str:
    return f"- {line.step.number}：{line.verdict}（{line.actual}）"


def _bullets(pairs: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"- {label}：{text}" for label, text in pairs)


def _issues(record: Record) -> str:
    problems = [
        f"{line.step.endpoint}（{line.step.number}）：{line.actual}" for line in record.failed
    ]
    numbered = [f"- 问题 {number}：{text}" for number, text in enumerate(problems or ["无"], 1)]
    return "\n".join(
        numbered
        + [f"- 待办 {number}：{text}" for number, text in enumerate(record.to_do or ["无"], 1)]
    )


# ---- a table that is straight in a terminal too ------------------------------------------------


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = [head, *([_cell(text) for text in row] for row in rows)]
    widths = [max(width(row[column]) for row in cells) for column in range(len(head))]
    ruler = [("-" * size) for size in widths]
    return "\n".join(_row(row, widths) for row in (head, ruler, *cells[1:]))


def narrow(text: str) -> str:
    """The same tables without the blanks and dashes that make them straight."""
    return re.sub(r"-{4,}", "---", re.sub(r" {2,}", " ", text))


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return (
        "| "
        + " | ".join(padded(text, size) for text, size in zip(cells, widths, strict=True))
        + " |"
    )


def padded(text: str, size: int) -> str:
    return text + " " * (size - width(text))


def width(text: str) -> int:
    """Columns of a terminal: a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
