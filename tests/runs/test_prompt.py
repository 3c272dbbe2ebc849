from collections.abc import Sequence

import pytest

from runs.prompt import full_prompt

Character = dict[str, str | None]

ALICE: Character = {"name": "Alice", "id": "@a1"}
BOB: Character = {"name": "Bob", "id": "@b"}
PASSER: Character = {"name": "路人", "id": "@p"}
OTHER_PASSER: Character = {"name": "路人甲", "id": "@pa"}


def prompt(
    text: str,
    *characters: Character,
    scene: str | None = None,
    props: Sequence[str] = (),
    intent: str | None = None,
) -> str:
    asset = {"characters": list(characters), "scene": scene, "props": props}
    return full_prompt(text, asset, intent)


def test_the_example_of_the_contract() -> None:
    made = prompt("Alice waves.", ALICE, scene="Room", props=["lamp"], intent="Warm")
    assert made == "@a1 waves. [Scene: Room | Props: lamp] (Director Note: Warm)"


@pytest.mark.parametrize(
    ("text", "characters", "expected"),
    [
        ("[Alice] meets Alice.", [ALICE], "@a1 meets Alice."),
        ('"[Alice]" said Alice.', [ALICE], '"[Alice]" said Alice.'),
        ("[Bob] meets Alice.", [ALICE, {"name": "Bob", "id": None}], "[Bob] meets Alice."),
        ("路人甲推开路人。", [PASSER, OTHER_PASSER], "@pa 推开 @p 。"),
        ("Alicea and Al", [ALICE, {"name": "Al", "id": "@b"}], "@a1 a and @b"),
        ('She said "Alice', [ALICE], 'She said " @a1'),
        ("Bobby waits", [BOB, {"name": "Bobby", "id": None}], "Bobby waits"),
        ("Alice and Bob", [{"name": "Alice", "id": "@Bob1"}, BOB], "@Bob1 and @b"),
        ("Alice", [{"name": "Alice", "id": "a1"}], "@a1"),
        ("Alice", [ALICE, {"name": "Alice", "id": "@late"}], "@a1"),
        ("He shouts “Alice!” at Alice", [ALICE], "He shouts “Alice!” at @a1"),
        ("A.B (x)", [{"name": "A.B", "id": "@dot"}], "@dot (x)"),
    ],
)
def test_names_become_ids(text: str, characters: list[Character], expected: str) -> None:
    assert prompt(text, *characters) == expected


def test_every_id_stands_free_and_white_space_is_one_blank() -> None:
    assert prompt("foo@bar.com\n\n  \u3000x") == "foo @bar .com x"


def test_parts_that_say_nothing_are_left_out() -> None:
    assert prompt("A city.", scene=" ", props=["", " "], intent=" ") == "A city."


def test_scene_and_props_stand_alone_too() -> None:
    assert prompt("x", scene="Room") == "x [Scene: Room]"
    assert prompt("x", props=["a", "b"]) == "x [Props: a, b]"
