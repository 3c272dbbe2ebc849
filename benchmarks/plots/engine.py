"""Of the table beside the peers, what it took and what it cost."""

import json
import sys
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot, ticker

_COLOURS = ("#9a9a9a", "#134b5f", "#1f6f8b", "#63b7d6", "#c98a2b", "#b4483c")


def main() -> None:
    target, rows = sys.argv[1], json.load(sys.stdin)
    matplotlib.rcParams |= {"svg.hashsalt": "cineflow", "font.size": 9}
    figure, (seconds, cpu) = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    _bars(seconds, rows, 2, "seconds to the end")
    _bars(cpu, rows, 4, "CPU ms a job")
    figure.legend(
        *seconds.get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False
    )
    figure.savefig(target, metadata={"Date": None})


def _bars(axes: Any, rows: list[list[str]], column: int, title: str) -> None:
    sizes, peers = (
        list(dict.fromkeys(row[0] for row in rows)),
        list(dict.fromkeys(row[1] for row in rows)),
    )
    width = 0.8 / len(peers)
    for place, peer in enumerate(peers):
        mine = [
            (sizes.index(row[0]), float(row[column].split()[0])) for row in rows if row[1] == peer
        ]
        left = [number + (place - (len(peers) - 1) / 2) * width for number, _ in mine]
        axes.bar(left, [height for _, height in mine], width, label=peer, color=_COLOURS[place])
    axes.set_xticks(range(len(sizes)), [f"{int(size):,} jobs" for size in sizes])
    axes.set_title(title, fontsize=9)
    axes.set_yscale("log")
    for of_axis in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        of_axis(ticker.StrMethodFormatter("{x:g}"))
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
