"""Plots, each a module that is run by the Python that has matplotlib."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent
# With the packages that only the benchmarks need; `make bench` makes it.
_INSTALLED = FOLDER.parent / ".venv" / "benchmarks" / "bin" / "python"
BENCH_PYTHON = os.environ.get("BENCH_PYTHON") or str(_INSTALLED)


def draw(name: str, values: Any) -> None:
    """Runs `benchmarks.plots.<name>`, which reads `values` from its input and writes `<name>.svg`."""
    command = [BENCH_PYTHON, "-m", f"benchmarks.plots.{name}", str(FOLDER / f"{name}.svg")]
    subprocess.run(command, cwd=FOLDER.parent, input=json.dumps(values), text=True, check=True)
