"""The samples of an hour: what must stay flat, over the minutes."""

import json
import sys
from collections.abc import Mapping
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot


def main() -> None:
    target, data = sys.argv[1], json.load(sys.stdin)
    matplotlib.rcParams |= {"svg.hashsalt": "cineflow", "font.size": 8}
    figure, grid = pyplot.subplots(2, 2, figsize=(9, 5.4), layout="constrained", sharex=True)
    minutes = data["minutes"]
    panels = {
        "resident memory of each process, MB": data["memory"],
        "open connections and files": data["connections"],
        "tables": data["tables"],
        "each minute": data["pace"],
    }
    for axes, (title, lines) in zip(grid.flat, panels.items(), strict=True):
        _lines(axes, minutes, lines)
        axes.set_title(title, fontsize=9)
    for axes in grid[1]:
        axes.set_xlabel("minutes")
    figure.savefig(target, metadata={"Date": None})


def _lines(axes: Any, minutes: list[float], lines: Mapping[str, list[float | None]]) -> None:
    for label, values in lines.items():
        axes.plot(minutes, values, label=label, linewidth=1)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7, frameon=False)


if __name__ == "__main__":
    main()
