"""What a person sees while the walk goes on: a line a step, and a bar where there is a terminal."""

from django.core.management.base import OutputWrapper
from django.core.management.color import Style

from cineflow.acceptance.record import padded, width
from cineflow.acceptance.shapes import ENDED, Run
from cineflow.acceptance.walk import Line, Step, Verdict

_BAR = 30
_LABEL = 46


class Screen:
    def __init__(self, out: OutputWrapper, style: Style) -> None:
        self.out = out
        self.paint = {
            Verdict.PASS: style.SUCCESS,
            Verdict.FAIL: style.ERROR,
            Verdict.NOT_TESTED: style.WARNING,
        }
        self.heading = style.MIGRATE_HEADING
        self.title = ""
        self.bar = ""  # as it stands on the terminal
        self.told = ""  # the last line about a run

    def tell(self, title: str, line: Line | None) -> None:
        self._wipe()
        if line is None:
            self.out.write(f"\n{self.heading(title)}")
        else:
            verdict = self.paint[line.verdict](padded(line.verdict, 4))
            self.out.write(f"  {verdict}  {padded(_label(line.step), _LABEL)}  {line.actual}")
        self.out.flush()

    def watch(self, run: Run) -> None:
        """Called at every look at a run; shows what is new."""
        if run.status in ENDED:
            self.told = ""
        elif self.out.isatty():
            self._draw(run)
        elif self.told != (
            news := f"        {run.status}: {run.done} of {run.total_tasks} takes done"
        ):
            self.told = news
            self.out.write(news)
            self.out.flush()

    def _draw(self, run: Run) -> None:
        full = _BAR * run.done // max(run.total_tasks, 1)
        blocks = "█" * full + "░" * (_BAR - full)
        bar = f"        {blocks}  {run.done}/{run.total_tasks} takes  {run.status}"
        if bar != self.bar:
            self._wipe()
            self.out.write(bar, ending="")
            self.out.flush()
            self.bar = bar

    def _wipe(self) -> None:
        if self.bar:
            self.out.write("\r" + " " * width(self.bar) + "\r", ending="")
            self.bar = ""


def _label(step: Step) -> str:
    if not step.number.isdecimal():
        return step.number
    method, _, path = step.endpoint.partition(" ")
    return f"{step.number:>2}  {method} {path.removeprefix('/api/v1').partition('?')[0]}"
