import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.base import ImageInput
from providers.offers import Candidate, Shot
from providers.routing import Conform, Decision, Heed, Standing, as_json, route
from providers.strategies import Strategy

SHOT = Shot(8, "horizontal", is_pro=False, has_image=False)
PRO = replace(SHOT, is_pro=True)
WITH_IMAGE = replace(SHOT, has_image=True)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
STRATEGIES: list[Strategy] = [
    *("default", "manual", "failover", "weighted", "cost", "latency"),
    "quota",
]
EXACT: list[Conform] = ["route", "strict"]
NEAREST: list[Conform] = ["nearest_longer", "nearest"]


def candidate(provider_id: str = "openai", model: str = "sora-2", **more: Any) -> Candidate:
    can = {"durations": (4, 8, 12), "resolutions": ("horizontal", "vertical")}
    return Candidate(provider_id=provider_id, provider_model_id=model, **can | more)


FIRST = candidate("openai", priority=20)
SECOND = candidate("aihubmix", priority=30)


def chosen(decision: Decision) -> tuple[str, int] | None:
    offer = decision.choice
    return (offer.candidate.provider_id, offer.seconds) if offer else None


def whys(decision: Decision) -> list[str]:
    return [each.why for each in decision.considered]


# ---- filters -------------------------------------------------------------------------------------

UNFIT: dict[str, tuple[dict[str, Any], Shot, str]] = {
    "switched off": ({"enabled": False}, SHOT, "is switched off"),
    "length": ({"durations": (10, 15)}, SHOT, "makes 10, 15 s, not 8 s"),
    "length of a range": ({"durations": range(10, 16)}, SHOT, "makes 10 to 15 s, not 8 s"),
    "no length": ({"durations": ()}, SHOT, "makes no length that is known"),
    "resolution": ({"resolutions": ["vertical"]}, SHOT, "does not make horizontal video"),
    "image": ({"image_inputs": ()}, WITH_IMAGE, "takes no start image"),
    "image that it cannot fetch": (
        {"image_inputs": (ImageInput.URL,)},
        replace(WITH_IMAGE, image_has_address=False),
        "fetches start images itself, and cannot reach this server (set PUBLIC_BASE_URL)",
    ),
    "prompt": (
        {"max_prompt_length": 500},
        replace(SHOT, prompt_length=501),
        "takes prompts of 500 characters, not of 501",
    ),
    "pro": ({"pro": "never"}, PRO, "takes no pro segments"),
    "only pro": ({"pro": "only"}, SHOT, "is for pro segments alone"),
    "image that it needs": ({"needs_image": True}, SHOT, "needs a start image"),
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
    strategy: Strategy, how: dict[str, Any], shot: Shot, why: str
) -> None:
    decision = route(strategy, [candidate(**how)], shot, provider_id="openai")
    assert (chosen(decision), decision.wait, whys(decision)) == (None, False, [why])
    assert decision.reason == f"No provider can take this shot. openai sora-2: {why}."


TAKES: dict[str, tuple[dict[str, Any], Shot]] = {
    "a length of a range": ({"durations": range(4, 16)}, SHOT),
    "the longest prompt": ({"max_prompt_length": 500}, replace(SHOT, prompt_length=500)),
    "an image to upload": (
        {"image_inputs": (ImageInput.URL, ImageInput.UPLOAD)},
        replace(WITH_IMAGE, image_has_address=False),
    ),
    "an image to fetch": ({"image_inputs": (ImageInput.URL,)}, WITH_IMAGE),
    "no image": ({"image_inputs": ()}, SHOT),
    "a pro segment": ({"pro": "always"}, PRO),
    "a pro segment, and no other": ({"pro": "only"}, PRO),
    "an image, and not without one": ({"needs_image": True}, WITH_IMAGE),
    "a pro segment, told": ({"pro": "on_request"}, PRO),
    "none but pro segments, given another": ({"pro": "always"}, SHOT),
    "what its vendor will end": ({"retired_at": date(2026, 9, 24), "dead": False}, SHOT),
}


@pytest.mark.parametrize(("how", "shot"), TAKES.values(), ids=TAKES)
def test_who_can_take_the_shot_is_chosen(how: dict[str, Any], shot: Shot) -> None:
    assert chosen(route("default", [candidate(**how)], shot)) == ("openai", 8)


def test_a_provider_that_failed_is_passed_over_with_all_its_models() -> None:
    another = candidate("openai", "sora-2-web", position=1)
    decision = route("failover", [FIRST, another, SECOND], SHOT, failed=frozenset({"openai"}))
    assert chosen(decision) == ("aihubmix", 8)
    assert whys(decision) == ["failed before for this task"] * 2 + ["taken"]
    both = frozenset({"openai", "aihubmix"})
    decision = route("failover", [FIRST, SECOND], SHOT, failed=both)
    assert (chosen(decision), decision.wait) == (None, False)


def test_a_provider_that_failed_is_not_waited_for() -> None:
    held = candidate(held_until=NOON)
    assert not route("failover", [held], SHOT, failed=frozenset({"openai"})).wait


def test_a_model_without_a_provider_says_so() -> None:
    decision = route("default", [], SHOT)
    assert (chosen(decision), decision.wait) == (None, False)
    assert decision.reason == "No provider is mapped to this model."


def test_every_candidate_has_its_reason() -> None:
    closed = candidate("sora_hk", "sora2", configured=False, missing="set SORA_API_KEY")
    decision = route("default", [closed, FIRST, SECOND], SHOT)
    assert whys(decision) == ["set SORA_API_KEY", "taken", "fits"]
    assert [each.taken for each in decision.considered] == [False, True, False]


# ---- lengths -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conform", "durations", "wanted", "asked"),
    [
        ("nearest_longer", (4, 8, 12), 9, 12),
        ("nearest_longer", (4, 8, 12), 8, 8),
        ("nearest_longer", (4, 8, 12), 15, None),
        ("nearest_longer", range(5, 16), 4, 5),
        ("nearest_longer", range(5, 16), 25, None),
        ("nearest", (4, 8, 12), 9, 8),
        ("nearest", (4, 8, 12), 10, 12),  # as near to either: the longer one
        ("nearest", (4, 8, 12), 25, 12),
        ("nearest", range(5, 16), 4, 5),
        ("nearest", range(5, 16), 25, 15),
        ("route", (4, 8, 12), 9, None),
        ("strict", (4, 8, 12), 9, None),
        ("nearest", (), 9, None),
    ],
)
def test_what_a_model_is_asked_for_when_a_shot_is_to_last_so_long(
    conform: Conform, durations: Any, wanted: int, asked: int | None
) -> None:
    shot = replace(SHOT, seconds=wanted)
    decision = route("default", [candidate(durations=durations)], shot, conform=conform)
    assert chosen(decision) == (None if asked is None else ("openai", asked))
    assert (decision.requested, decision.seconds) == (wanted, asked)


def test_another_length_is_never_made_silently() -> None:
    decision = route("default", [FIRST], replace(SHOT, seconds=10), conform="nearest")
    assert whys(decision) == ["taken as 12 s"]
    told = as_json(decision, NOON)
    assert (told["requested_seconds"], told["asked_seconds"]) == (10, 12)


def test_what_is_too_short_says_so() -> None:
    decision = route("default", [FIRST], replace(SHOT, seconds=25), conform="nearest_longer")
    assert whys(decision) == ["makes 4, 8, 12 s, and nothing as long as 25 s"]


@pytest.mark.parametrize("strategy", [each for each in STRATEGIES if each != "manual"])
@pytest.mark.parametrize("conform", NEAREST)
def test_who_makes_the_exact_length_goes_before_who_would_make_another(
    strategy: Strategy, conform: Conform
) -> None:
    better = candidate(
        "sora_hk",
        priority=1,
        durations=(10, 15),
        price_per_second=Decimal("0.01"),
        latency_p50=1.0,
    )
    exact = replace(SECOND, price_per_second=Decimal(1), latency_p50=900.0, free_slots=1)
    decision = route(strategy, [better, exact], SHOT, conform=conform)
    assert chosen(decision) == ("aihubmix", 8)
    assert whys(decision)[0] == "would make 10 s; aihubmix sora-2 makes 8 s"


@pytest.mark.parametrize("conform", NEAREST)
def test_who_makes_the_exact_length_is_waited_for(conform: Conform) -> None:
    busy = replace(SECOND, free_slots=0)
    decision = route("default", [candidate(durations=(10,)), busy], SHOT, conform=conform)
    assert (chosen(decision), decision.wait) == (None, True)


@pytest.mark.parametrize(
    "never",
    [
        {"configured": False},
        {"dead": True},
        {"enabled": False},
        {"resolutions": ("vertical",)},
        {"provider_id": "openai"},
    ],
)
def test_who_cannot_make_it_at_all_is_not_waited_for(never: dict[str, Any]) -> None:
    exact = replace(SECOND, **never)
    other = candidate("sora_hk", durations=(10,))
    failed = frozenset({"openai"})
    decision = route("default", [other, exact], SHOT, conform="nearest", failed=failed)
    assert chosen(decision) == ("sora_hk", 10)


def test_manual_keeps_to_its_provider_and_asks_it_for_what_it_makes() -> None:
    exact, other = FIRST, candidate("sora_hk", durations=(10,))
    decision = route("manual", [exact, other], SHOT, provider_id="sora_hk", conform="nearest")
    assert chosen(decision) == ("sora_hk", 10)
    decision = route("manual", [exact, other], SHOT, provider_id="sora_hk")
    assert chosen(decision) is None
    assert whys(decision) == ["another provider was asked for", "makes 10 s, not 8 s"]


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
    unfit = candidate("sora_hk", "sora2", durations=(10,))
    decision = route("default", [unfit, candidate(**how)], SHOT)
    assert (chosen(decision), decision.wait) == (None, True)
    assert decision.reason == f"Waiting for a provider. openai sora-2: {why}."
    assert as_json(decision, NOON)["waits"]


def test_a_free_one_is_taken_before_a_busy_one_of_higher_priority() -> None:
    busy = candidate(priority=1, free_slots=0)
    assert chosen(route("default", [busy, SECOND], SHOT)) == ("aihubmix", 8)


def test_nobody_waits_for_one_that_needs_a_key() -> None:
    closed = candidate(configured=False, missing="set OPENAI_API_KEY", free_slots=0)
    assert not route("default", [closed], SHOT).wait


# ---- dry runs and plans --------------------------------------------------------------------------


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
    decision = route("default", [candidate(**how)], SHOT, heed=Heed.NOTHING)
    assert chosen(decision) == ("openai", 8)
    assert whys(decision) == [why]


@pytest.mark.parametrize("heed", Heed)
def test_nobody_looks_past_what_a_provider_cannot_do(heed: Heed) -> None:
    assert chosen(route("default", [candidate(durations=(10,))], SHOT, heed=heed)) is None


@pytest.mark.parametrize(
    ("how", "fits"),
    [({"configured": False}, False), ({"dead": True}, False), ({"free_slots": 0}, True)],
)
def test_a_plan_looks_past_what_passes_by_itself(how: dict[str, Any], fits: bool) -> None:
    decision = route("default", [candidate(**how)], SHOT, heed=Heed.WHAT_LASTS)
    assert (chosen(decision) is not None) is fits


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
    durations=st.sampled_from([(4, 8, 12), (10, 15, 25), range(5, 10), ()]),
    resolutions=st.sampled_from([("horizontal",), ("horizontal", "vertical")]),
    image_inputs=st.sampled_from([(), (ImageInput.UPLOAD,), (ImageInput.URL,)]),
    needs_image=st.booleans(),
    max_prompt_length=st.none() | st.just(100),
    pro=st.sampled_from(["never", "always", "on_request", "only"]),
    supports_pro=st.booleans(),
    price_per_second=st.none() | st.decimals(0, 1, places=4),
    latency_p50=st.none() | st.floats(0, 1000),
    latency_p95=st.none() | st.floats(0, 1000),
    free_slots=st.none() | st.integers(0, 3),
    free_share=st.none() | st.floats(0, 1),
    balance=st.none() | st.decimals(0, 5, places=2),
    balance_currency=st.sampled_from(["", "USD", "CNY"]),
    held_until=st.none() | st.just(NOON),
)
SHOTS = st.builds(
    Shot,
    seconds=st.sampled_from([4, 8, 10, 25]),
    resolution=st.sampled_from(["horizontal", "vertical"]),
    is_pro=st.booleans(),
    has_image=st.booleans(),
    image_has_address=st.booleans(),
    prompt_length=st.sampled_from([0, 101]),
)


def _able(found: Candidate, shot: Shot) -> bool:
    """Whatever its length."""
    fetches = set(found.image_inputs) == {ImageInput.URL}
    takes_image = found.image_inputs and (shot.image_has_address or not fetches)
    return (
        found.enabled
        and shot.resolution in found.resolutions
        and bool(takes_image if shot.has_image else not found.needs_image)
        and (not shot.is_pro or (found.supports_pro and found.pro != "never"))
        and (shot.is_pro or found.pro != "only")
        and (found.max_prompt_length is None or shot.prompt_length <= found.max_prompt_length)
    )


def _asked(found: Candidate, shot: Shot, conform: str) -> int | None:
    lengths = sorted(found.durations)
    if shot.seconds in lengths:
        return shot.seconds
    if conform == "nearest_longer":
        return next((each for each in lengths if each > shot.seconds), None)
    if conform == "nearest" and lengths:
        return sorted(lengths, key=lambda each: (abs(each - shot.seconds), -each))[0]
    return None


@given(
    strategy=st.sampled_from(STRATEGIES),
    conform=st.sampled_from([*EXACT, *NEAREST]),
    candidates=st.lists(CANDIDATES, max_size=5),
    shot=SHOTS,
    draw=st.floats(0, 1, exclude_max=True),
    failed=st.frozensets(st.sampled_from(["openai", "sora_hk"])),
    heed=st.sampled_from(Heed),
)
def test_a_choice_passed_every_filter_and_none_means_that_nobody_did(
    strategy: Strategy,
    conform: Conform,
    candidates: list[Candidate],
    shot: Shot,
    draw: float,
    failed: frozenset[str],
    heed: Heed,
) -> None:
    def is_usable(found: Candidate) -> bool:
        wanted = strategy != "manual" or found.provider_id == "openai"
        healthy = found.configured and not found.dead
        return (
            wanted
            and found.provider_id not in failed
            and _able(found, shot)
            and _asked(found, shot, conform) is not None
            and (healthy or heed == Heed.NOTHING)
        )

    def is_free(found: Candidate) -> bool:
        return heed < Heed.EVERYTHING or (found.held_until is None and found.free_slots != 0)

    usable = [found for found in candidates if is_usable(found)]
    exact = [found for found in usable if shot.seconds in found.durations]
    eligible = [found for found in exact or usable if is_free(found)]
    decision = route(
        strategy,
        candidates,
        shot,
        conform=conform,
        provider_id="openai",
        failed=failed,
        draw=draw,
        heed=heed,
    )
    assert (decision.choice is not None) == bool(eligible)
    if decision.choice:
        taken = decision.choice.candidate
        assert any(taken is found for found in eligible)
        assert decision.seconds == _asked(taken, shot, conform)
        assert conform in NEAREST or decision.seconds == shot.seconds
    assert len(decision.considered) == len(candidates)
    assert all(each.why for each in decision.considered)
    assert decision.wait == (decision.choice is None and bool(usable))
    json.dumps(as_json(decision, NOON), allow_nan=False)


def test_a_decision_is_stored_as_json_with_the_values_that_were_looked_at() -> None:
    seen = replace(
        FIRST,
        price_per_second=Decimal("0.1000"),
        latency_p50=90.5,
        latency_p95=180.0,
        free_slots=3,
        free_share=0.75,
        left_this_minute=5,
        balance=Decimal("12.5000"),
        balance_currency="USD",
    )
    held = replace(SECOND, **cast(Any, HELD))
    assert as_json(route("cost", [seen, held], SHOT), NOON) == {
        "strategy": "cost",
        "conform": "route",
        "decided_at": "2026-11-22T12:00:00Z",
        "requested_seconds": 8,
        "asked_seconds": 8,
        "provider_id": "openai",
        "provider_model_id": "sora-2",
        "looked_at": "price of the shot: openai 0.8 (8 s at 0.1)",
        "reason": "lowest price",
        "waits": False,
        "candidates": [
            {
                "provider_id": "openai",
                "provider_model_id": "sora-2",
                "taken": True,
                "why": "taken",
                "asked_seconds": 8,
                "priority": 20,
                "weight": 10,
                "price_per_second": 0.1,
                "price": 0.8,
                "latency_p50": 90.5,
                "latency_p95": 180.0,
                "free_slots": 3,
                "free_share": 0.75,
                "left_this_minute": 5,
                "balance": 12.5,
                "balance_currency": "USD",
                "held_until": None,
            },
            {
                "provider_id": "aihubmix",
                "provider_model_id": "sora-2",
                "taken": False,
                "why": "is held until 12:00:00 UTC (rate limited)",
                "asked_seconds": 8,
                "priority": 30,
                "weight": 10,
                "price_per_second": None,
                "price": None,
                "latency_p50": None,
                "latency_p95": None,
                "free_slots": None,
                "free_share": None,
                "left_this_minute": None,
                "balance": None,
                "balance_currency": None,
                "held_until": "2026-11-22T12:00:00Z",
            },
        ],
    }


def test_only_those_that_the_strategy_chose_from_are_fitting() -> None:
    decision = route("default", [FIRST, replace(SECOND, free_slots=0)], SHOT)
    assert [offer.candidate for offer in decision.fitting] == [FIRST]
    assert [each.standing for each in decision.considered] == [Standing.FITS, Standing.BUSY]
