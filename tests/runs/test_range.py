import pytest

from runs.launch import read_range

INDEXES = [1, 2, 3, 5, 8, 13]


@pytest.mark.parametrize("text", ["1-3,5", " 1 - 3 , 5 ", "5,1-3", "1-5,2-3", "1,2,3,5,5"])
def test_parts_may_overlap_and_hold_blanks(text: str) -> None:
    spans, problems = read_range(text, INDEXES)
    chosen = {index for index in INDEXES if any(start <= index <= end for start, end in spans)}
    assert (chosen, problems) == ({1, 2, 3, 5}, [])


FULL_WIDTH_ONE = "\uff11"


@pytest.mark.parametrize(
    "part",
    ["", " ", "x", "3-1", "-1", "1-", "4", "6-7", "99", "1-2-3", FULL_WIDTH_ONE, "0", "1.5", "+1"],
)
def test_a_bad_part_is_named(part: str) -> None:
    _, problems = read_range(f"1,{part}", INDEXES)
    assert [found["loc"] for found in problems] == [["range"]]
    assert f"'{part.strip()}'" in problems[0]["msg"]


def test_all_selects_everything() -> None:
    assert read_range("all", INDEXES) == ([(1, 2**63)], [])


def test_every_bad_part_is_told_at_once() -> None:
    _, problems = read_range("9-8,x,44", INDEXES)
    assert len(problems) == 3
