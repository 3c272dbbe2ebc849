import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.routing import Candidate, Considered, Decision, Shot, as_json, route

SHOT = Shot(8, "horizontal", is_pro=False, has_image=False)
PRO = replace(SHOT, is_pro=True)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
STRATEGIES = ["default", "manual", "failover", "weighted", "cost", "latency", "quota"]


def candidate(provider_id: str = "openai", model: str = "sora-2", **more: Any) -> Candidate:
    can = {"durations": (4, 8, 12), "resolutions": ("horizontal", "vertical")}
    return Candidate(provider_id=provider_id, provider_model_id=model, **can | more)


FIRST = candidate("openai", priority=20)
SECOND = candidate("aihubmix", priority=30)


def choice(strategy: str, *candidates: Candidate, shot: Shot = SHOT, **more: Any) -> str | None:
    found = route(strategy, candidates, shot, **more).choice
    return f"{found.provider_id} {found.provider_model_id}" if found else None


def whys(decision: Decision) -> list[str]:
    return [each.why for each in decision.considered]


# ---- filters -------------------------------------------------------------------------------------

UNFIT: dict[str, tuple[dict[str, Any], Shot, str]] = {
    "switched off": ({"enabled": False}, SHOT, "is switched off"),
    "length": ({"durations": [10, 15]}, SHOT, "makes 10, 15 s, not 8 s"),
    "no length": ({"durations": []}, SHOT, "makes no s, not 8 s"),
    "resolution": ({"resolutions": ["vertical"]}, SHOT, "does not make horizontal video"),
    "image": ({"image": False}, replace(SHOT, has_image=True), "takes no start image"),
    "pro": ({"pro": "never"}, PRO, "takes no pro segments"),
    "pro switched off": (
        {"pro": "always", "supports_pro": False},
        PRO,
        "takes no pro segments",
    ),
    "key": ({"configured": False, "missing": "set OPENAI_API_KEY"}, SHOT, "set OPENAI_API_KEY"),
    "retired": (
        {"dead": True, "retired_at": date(2026, 9, 24)},
        SHOT,
        "its vendor ended it on 2026-09-24; another base URL would bring it back",
    ),
}


@pytest.mark.parametrize(("how", "shot", "why"), UNFIT.values(), ids=UNFIT)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_whoever_cannot_take_the_shot_is_never_chosen(
    strategy: str, how: dict[str, Any], shot: Shot, why: str
) -> None:
    unfit = candidate("openai", **how)
    decision = route(strategy, [unfit], shot, provider_id="openai")
    assert (decision.choice, decision.wait) == (None, False)
    assert decision.considered == (Considered("openai", "sora-2", taken=False, why=why),)
    assert decision.reason == f"No provider can take this shot. openai sora-2: {why}."


@pytest.mark.parametrize(
    ("pro", "shot", "taken"),
    [
        ("never", SHOT, True),
        ("never", PRO, False),
        ("always", SHOT, True),
        ("always", PRO, True),
        ("on_request", SHOT, True),
        ("on_request", PRO, True),
    ],
)
def test_who_takes_pro_segments(pro: str, shot: Shot, taken: bool) -> None:
    assert (choice("default", candidate(pro=pro), shot=shot) is not None) is taken


def test_a_retired_model_that_is_not_dead_is_chosen() -> None:
    retired = candidate(retired_at=date(2026, 9, 24), dead=False)
    assert choice("default", retired) == "openai sora-2"


def test_what_failed_before_is_passed_over() -> None:
    failed = frozenset({("openai", "sora-2")})
    assert choice("failover", FIRST, SECOND, failed=failed) == "aihubmix sora-2"
    both = failed | {("aihubmix", "sora-2")}
    decision = route("failover", [FIRST, SECOND], SHOT, failed=both)
    assert whys(decision) == ["failed before for this task"] * 2
    assert (decision.choice, decision.wait) == (None, False)


def test_a_model_without_a_provider_says_so() -> None:
    decision = route("default", [], SHOT)
    assert (decision.choice, decision.wait) == (None, False)
    assert decision.reason == "No provider is mapped to this model."


def test_every_candidate_has_its_reason() -> None:
    closed = candidate("sora_hk", "sora2", configured=False, missing="set SORA_API_KEY")
    decision = route("default", [closed, FIRST, SECOND], SHOT)
    assert decision.considered == (
        Considered("sora_hk", "sora2", taken=False, why="set SORA_API_KEY"),
        Considered("openai", "sora-2", taken=True, why="taken"),
        Considered("aihubmix", "sora-2", taken=False, why="fits"),
    )


# ---- busy ----------------------------------------------------------------------------------------

HELD = {"held_until": NOON, "hold_reason": "rate limited"}


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"free_slots": 0}, "all its slots are taken"),
        (HELD, "is held until 12:00:00 UTC (rate limited)"),
        ({"held_until": NOON}, "is held until 12:00:00 UTC"),
    ],
)
def test_when_only_busy_ones_remain_the_task_waits(how: dict[str, Any], why: str) -> None:
    unfit = candidate("sora_hk", "sora2", durations=[10])
    decision = route("default", [unfit, candidate(**how)], SHOT)
    assert (decision.choice, decision.wait) == (None, True)
    assert decision.reason == f"Waiting for a provider. openai sora-2: {why}."


def test_a_free_one_is_taken_before_a_busy_one_of_higher_priority() -> None:
    assert choice("default", candidate(priority=1, free_slots=0), SECOND) == "aihubmix sora-2"


def test_nobody_waits_for_one_that_needs_a_key() -> None:
    closed = candidate(configured=False, missing="set OPENAI_API_KEY", free_slots=0)
    assert not route("default", [closed], SHOT).wait


# ---- dry runs ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "why"),
    [
        (
            {"configured": False, "missing": "set OPENAI_API_KEY"},
            "taken; not usable yet: set OPENAI_API_KEY",
        ),
        (
            {"dead": True},
            "taken; not usable yet: its vendor ended it; another base URL would bring it back",
        ),
        ({"free_slots": 0}, "taken"),
        (HELD, "taken"),
    ],
)
def test_a_dry_run_looks_past_health_and_tells_what_is_missing(
    how: dict[str, Any], why: str
) -> None:
    decision = route("default", [candidate(**how)], SHOT, ignore_health=True)
    assert decision.choice is not None
    assert whys(decision) == [why]


def test_a_dry_run_does_not_look_past_what_a_provider_cannot_do() -> None:
    decision = route("default", [candidate(durations=[10])], SHOT, ignore_health=True)
    assert decision.choice is None


# ---- strategies ----------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["default", "failover"])
def test_the_lowest_priority_number_goes_first_then_the_name_then_the_position(
    strategy: str,
) -> None:
    web = candidate("aihubmix", "web-sora-2", position=1)
    plain = candidate("aihubmix", "sora-2", position=0)
    later = candidate("zeta", "a")
    assert choice(strategy, later, web, plain) == "aihubmix sora-2"
    assert choice(strategy, replace(later, priority=1), web, plain) == "zeta a"
    decision = route(strategy, [SECOND, FIRST], SHOT)
    assert decision.looked_at == "priority: aihubmix 30, openai 20"


def test_manual_takes_the_provider_that_was_asked_for_and_no_other() -> None:
    assert choice("manual", FIRST, SECOND, provider_id="aihubmix") == "aihubmix sora-2"
    decision = route("manual", [FIRST, SECOND], SHOT, provider_id="sora_hk")
    assert decision.choice is None
    assert whys(decision) == ["another provider was asked for"] * 2


def test_a_provider_is_named_in_manual_only() -> None:
    assert choice("default", FIRST, SECOND, provider_id="aihubmix") == "openai sora-2"


def test_cost_takes_the_cheapest_and_unknown_prices_last() -> None:
    dear = replace(FIRST, price_per_second=Decimal("0.3000"))
    cheap = replace(SECOND, price_per_second=Decimal("0.1000"))
    unknown = candidate("sora_hk", priority=1)
    decision = route("cost", [unknown, dear, cheap], SHOT)
    assert decision.choice is cheap
    assert decision.looked_at == "price per second: sora_hk unknown, openai 0.3, aihubmix 0.1"
    assert choice("cost", unknown, FIRST) == "sora_hk sora-2"


def test_latency_takes_the_fastest_and_unmeasured_ones_last() -> None:
    slow = replace(FIRST, latency_p50=120.4)
    fast = replace(SECOND, latency_p50=90.0)
    unmeasured = candidate("sora_hk", priority=1)
    decision = route("latency", [unmeasured, slow, fast], SHOT)
    assert decision.choice is fast
    assert decision.looked_at == "median seconds: sora_hk not measured, openai 120, aihubmix 90"
    assert choice("latency", unmeasured, FIRST) == "sora_hk sora-2"


def test_quota_takes_the_one_with_the_most_free_slots() -> None:
    few = replace(FIRST, free_slots=2)
    many = replace(SECOND, free_slots=9)
    assert choice("quota", few, many) == "aihubmix sora-2"
    unlimited = candidate("sora_hk", priority=90)
    decision = route("quota", [few, many, unlimited], SHOT)
    assert decision.choice is unlimited
    assert decision.looked_at == "free slots: openai 2, aihubmix 9, sora_hk no limit"
    assert choice("quota", unlimited, FIRST) == "openai sora-2"


@given(weights=st.lists(st.integers(1, 100), min_size=1, max_size=6))
def test_each_provider_is_drawn_exactly_as_often_as_its_weight_says(weights: list[int]) -> None:
    candidates = [candidate(f"p{i}", weight=weight) for i, weight in enumerate(weights)]
    total = sum(weights)
    drawn = Counter(choice("weighted", *candidates, draw=(i + 0.5) / total) for i in range(total))
    assert drawn == {f"p{i} sora-2": weight for i, weight in enumerate(weights)}


def test_a_second_model_does_not_make_a_provider_more_likely() -> None:
    web = replace(SECOND, provider_model_id="web-sora-2", position=1)
    drawn = Counter(choice("weighted", FIRST, SECOND, web, draw=i / 10) for i in range(10))
    assert drawn == {"openai sora-2": 5, "aihubmix sora-2": 5}


@pytest.mark.parametrize("draw", [0.0, 0.9999999999999999])
def test_the_ends_of_the_draw_are_within(draw: float) -> None:
    assert choice("weighted", FIRST, SECOND, draw=draw) is not None


# ---- all of it -----------------------------------------------------------------------------------

CANDIDATES = st.builds(
    Candidate,
    provider_id=st.sampled_from(["sora_hk", "openai", "aihubmix"]),
    provider_model_id=st.sampled_from(["sora-2", "web-sora-2"]),
    priority=st.integers(1, 3),
    weight=st.integers(1, 100),
    enabled=st.booleans(),
    configured=st.booleans(),
    dead=st.booleans(),
    durations=st.sampled_from([(4, 8, 12), (10, 15, 25)]),
    resolutions=st.sampled_from([("horizontal",), ("horizontal", "vertical")]),
    image=st.booleans(),
    pro=st.sampled_from(["never", "always", "on_request"]),
    supports_pro=st.booleans(),
    price_per_second=st.none() | st.decimals(0, 1, places=4),
    latency_p50=st.none() | st.floats(0, 1000),
    free_slots=st.none() | st.integers(0, 3),
    held_until=st.none() | st.just(NOON),
)
SHOTS = st.builds(
    Shot,
    seconds=st.sampled_from([8, 10]),
    resolution=st.sampled_from(["horizontal", "vertical"]),
    is_pro=st.booleans(),
    has_image=st.booleans(),
)


def _able(found: Candidate, shot: Shot) -> bool:
    return (
        found.enabled
        and shot.seconds in found.durations
        and shot.resolution in found.resolutions
        and (found.image or not shot.has_image)
        and (not shot.is_pro or (found.supports_pro and found.pro != "never"))
    )


def _healthy(found: Candidate) -> bool:
    return found.configured and not found.dead


def _free(found: Candidate) -> bool:
    return found.held_until is None and found.free_slots != 0


@given(
    strategy=st.sampled_from(STRATEGIES),
    candidates=st.lists(CANDIDATES, max_size=5),
    shot=SHOTS,
    draw=st.floats(0, 1, exclude_max=True),
    failed=st.sets(st.tuples(st.sampled_from(["openai", "sora_hk"]), st.just("sora-2"))),
    ignore_health=st.booleans(),
)
def test_a_choice_passed_every_filter_and_none_means_that_nobody_did(
    strategy: str,
    candidates: list[Candidate],
    shot: Shot,
    draw: float,
    failed: set[tuple[str, str]],
    ignore_health: bool,
) -> None:
    def able(found: Candidate) -> bool:
        wanted = strategy != "manual" or found.provider_id == "openai"
        before = (found.provider_id, found.provider_model_id) in failed
        return wanted and not before and _able(found, shot)

    def fits(found: Candidate) -> bool:
        return able(found) and (ignore_health or (_healthy(found) and _free(found)))

    decision = route(
        strategy,
        candidates,
        shot,
        provider_id="openai",
        failed=frozenset(failed),
        draw=draw,
        ignore_health=ignore_health,
    )
    assert (decision.choice is not None) == any(map(fits, candidates))
    assert decision.choice is None or fits(decision.choice)
    assert len(decision.considered) == len(candidates)
    busy = any(able(found) and _healthy(found) for found in candidates)
    assert decision.wait == (decision.choice is None and busy)
    json.dumps(as_json(decision), allow_nan=False)


def test_a_decision_is_stored_as_json() -> None:
    assert as_json(route("default", [FIRST], SHOT)) == {
        "strategy": "default",
        "provider_id": "openai",
        "provider_model_id": "sora-2",
        "looked_at": "priority: openai 20",
        "reason": "first by priority",
        "considered": [
            {
                "provider_id": "openai",
                "provider_model_id": "sora-2",
                "taken": True,
                "why": "taken",
            }
        ],
    }
