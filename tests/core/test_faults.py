import subprocess
import sys

import pytest

from cineflow.core.faults import FaultHit, parse

HIT = "from cineflow.core.faults import fault; fault('there'); print('alive')"


def run_with(fault: str) -> subprocess.CompletedProcess[str]:
    env = {"CINEFLOW_FAULT": fault}
    return subprocess.run([sys.executable, "-c", HIT], env=env, capture_output=True, text=True)


@pytest.mark.parametrize("fault", ["", "elsewhere:1", "there:0"])
def test_a_point_that_is_not_armed_does_nothing(fault: str) -> None:
    assert run_with(fault).stdout == "alive\n"


@pytest.mark.parametrize("fault", ["there:1", "there:1:7", "there:1:kill", "there:1:7:kill"])
def test_an_armed_point_kills_its_process(fault: str) -> None:
    assert run_with(fault).returncode == -9


def test_a_point_may_be_met_over_one_prompt_only() -> None:
    armed = parse("there@poison:1:raise")
    assert armed is not None
    armed.hit("there", "a city")
    with pytest.raises(FaultHit):
        armed.hit("there", "a poison in a cup")


def test_children_of_one_process_have_their_own_luck() -> None:
    code = """
import os
from cineflow.core import faults
for _ in range(2):
    if not os.fork():
        print(faults._armed.dice.random(), flush=True)
        os._exit(0)
    os.wait()
"""
    env = {"CINEFLOW_FAULT": "there:0.5:7"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    first, second = done.stdout.split()
    assert first != second


def test_an_armed_point_may_raise_instead() -> None:
    armed = parse("there:1:raise")
    assert armed is not None
    with pytest.raises(FaultHit):
        armed.hit("there")


def test_the_seed_decides_which_passes_are_hit() -> None:
    def hits(seed: int) -> list[bool]:
        armed = parse(f"there:0.5:{seed}:raise")
        assert armed is not None
        return [_raises(armed.hit) for _ in range(30)]

    assert hits(1) == hits(1) != hits(2)


def _raises(hit: object) -> bool:
    assert callable(hit)
    try:
        hit("there")
    except FaultHit:
        return True
    return False


@pytest.mark.parametrize("text", ["there", "there:often", "there:1:2:3:kill"])
def test_a_misspelt_fault_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text)
