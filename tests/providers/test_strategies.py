from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.offers import Candidate, Offer
from providers.strategies import EXPLORED, Choice, Strategy, choose, lot


def offer(
    provider_id: str = "openai", model: str = "sora-2", *, seconds: int = 8, **more: Any
) -> Offer:
    found = Candidate(provider_id=provider_id, provider_model_id=model, **more)
    return Offer(found, seconds)


def like(one: Offer, **more: Any) -> Offer:
    return Offer(replace(one.candidate, **more), one.seconds)


def taken(strategy: Strategy, *offers: Offer, draw: float = 0.0) -> str:
    found = choose(strategy, offers, draw)[0].candidate
    return f"{found.provider_id} {found.provider_model_id}"


def told(strategy: Strategy, *offers: Offer, draw: float = 0.0) -> tuple[str, str, str]:
    """Who was taken, what was looked at, and why."""
    found: Choice = choose(strategy, offers, draw)
    return found[0].candidate.provider_id, found[1], found[2]


FIRST = offer("openai", priority=20)
SECOND = offer("aihubmix", priority=30)
THIRD = offer("sora_hk", priority=40)


# ---- default, failover, manual -------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["default", "failover", "manual"])
def test_the_lowest_priority_number_goes_first_then_the_name_then_the_position(
    strategy: Strategy,
) -> None:
    web = offer("aihubmix", "web-sora-2", position=1)
    plain = offer("aihubmix", "sora-2", position=0)
    later = offer("zeta", "a")
    assert taken(strategy, later, web, plain) == "aihubmix sora-2"
    assert taken(strategy, like(later, priority=1), web, plain) == "zeta a"


def test_what_was_looked_at_names_the_model_where_a_provider_has_several() -> None:
    web = offer("openai", "web-sora-2", priority=20)
    assert told("default", SECOND, FIRST) == (
        "openai",
        "priority: aihubmix 30, openai 20",
        "first by priority",
    )
    assert told("default", FIRST, web)[1] == "priority: openai sora-2 20, openai web-sora-2 20"


# ---- weighted ------------------------------------------------------------------------------------


@given(weights=st.lists(st.integers(1, 100), min_size=1, max_size=6))
def test_each_provider_is_drawn_exactly_as_often_as_its_weight_says(weights: list[int]) -> None:
    offers = [offer(f"p{i}", weight=weight) for i, weight in enumerate(weights)]
    total = sum(weights)
    drawn = Counter(taken("weighted", *offers, draw=(i + 0.5) / total) for i in range(total))
    assert drawn == {f"p{i} sora-2": weight for i, weight in enumerate(weights)}


def test_a_second_model_does_not_make_a_provider_more_likely() -> None:
    web = like(SECOND, provider_model_id="web-sora-2", position=1)
    drawn = Counter(taken("weighted", FIRST, SECOND, web, draw=i / 10) for i in range(10))
    assert drawn == {"openai sora-2": 5, "aihubmix sora-2": 5}


@pytest.mark.parametrize(("draw", "who"), [(0.0, "aihubmix"), (0.9999999999999999, "openai")])
def test_the_ends_of_the_draw_are_within(draw: float, who: str) -> None:
    offers = [like(FIRST, priority=50), like(SECOND, priority=50)]
    assert told("weighted", *offers, draw=draw)[0] == who


# ---- cost ----------------------------------------------------------------------------------------


def test_cost_takes_the_cheapest_and_unknown_prices_last() -> None:
    dear = like(FIRST, price_per_second=Decimal("0.3000"))
    cheap = like(SECOND, price_per_second=Decimal("0.1000"))
    unknown = like(THIRD, priority=1)
    assert told("cost", unknown, dear, cheap) == (
        "aihubmix",
        "price of the shot: sora_hk unknown, openai 2.4 (8 s at 0.3), aihubmix 0.8 (8 s at 0.1)",
        "lowest price",
    )


def test_cost_changes_its_choice_when_a_price_changes() -> None:
    first = like(FIRST, price_per_second=Decimal("0.10"))
    assert taken("cost", first, like(SECOND, price_per_second=Decimal("0.20"))) == "openai sora-2"
    assert taken("cost", first, like(SECOND, price_per_second=Decimal("0.05"))) == "aihubmix sora-2"


def test_cost_counts_the_seconds_that_would_be_billed() -> None:
    by_the_second = Offer(replace(FIRST.candidate, price_per_second=Decimal("0.10")), 12)
    shorter = Offer(replace(SECOND.candidate, price_per_second=Decimal("0.11")), 10)
    assert told("cost", by_the_second, shorter)[:2] == (
        "aihubmix",
        "price of the shot: openai 1.2 (12 s at 0.1), aihubmix 1.1 (10 s at 0.11)",
    )


def test_cost_falls_back_to_priority_where_prices_are_equal_or_unknown() -> None:
    same = {"price_per_second": Decimal("0.1")}
    assert taken("cost", like(SECOND, **same), like(FIRST, **same)) == "openai sora-2"
    assert told("cost", SECOND, FIRST)[::2] == (
        "openai",
        "no price is known; first by priority",
    )


# ---- latency -------------------------------------------------------------------------------------


def test_latency_takes_the_fastest_and_shows_both_measures() -> None:
    slow = like(FIRST, latency_p50=120.4, latency_p95=240.0)
    fast = like(SECOND, latency_p50=90.0, latency_p95=600.0)
    assert told("latency", like(THIRD, priority=1), slow, fast) == (
        "aihubmix",
        "seconds from acceptance to the end: sora_hk not measured, openai p50 120 p95 240, "
        "aihubmix p50 90 p95 600",
        "lowest measured median",
    )


def test_latency_changes_its_choice_when_what_is_measured_changes() -> None:
    first = like(FIRST, latency_p50=100.0, latency_p95=110.0)
    second = like(SECOND, latency_p50=90.0, latency_p95=300.0)
    assert taken("latency", first, second) == "aihubmix sora-2"
    assert taken("latency", first, like(second, latency_p50=101.0)) == "openai sora-2"
    # Of equal medians, the one with the fewer stragglers.
    assert taken("latency", first, like(second, latency_p50=100.0)) == "openai sora-2"
    assert taken("latency", like(first, latency_p95=301.0), like(second, latency_p50=100.0)) == (
        "aihubmix sora-2"
    )


def test_latency_gives_one_shot_in_twenty_to_one_that_is_not_measured() -> None:
    measured = like(FIRST, latency_p50=100.0)
    drawn = Counter(taken("latency", measured, SECOND, THIRD, draw=i / 1000) for i in range(1000))
    assert drawn == {"openai sora-2": 950, "aihubmix sora-2": 50}
    why = told("latency", measured, SECOND, draw=0.97)[2]
    assert why == "not measured lately: one shot in 20 goes to such a one"


@pytest.mark.parametrize("draw", [0.0, 0.97])
def test_latency_without_anything_measured_goes_by_priority(draw: float) -> None:
    assert told("latency", SECOND, FIRST, draw=draw)[::2] == (
        "openai",
        "none is measured; first by priority",
    )


@pytest.mark.parametrize("draw", [0.0, 0.97])
def test_latency_explores_nothing_where_all_is_measured(draw: float) -> None:
    fast, slow = like(SECOND, latency_p50=1.0), like(FIRST, latency_p50=2.0)
    assert taken("latency", fast, slow, draw=draw) == "aihubmix sora-2"


@given(draw=st.floats(0, 1, exclude_max=True))
def test_a_lot_stands_for_its_draw(draw: float) -> None:
    offers = [like(FIRST, latency_p50=1.0), SECOND, THIRD]
    strategies: list[Strategy] = ["default", "failover", "weighted", "cost", "latency", "quota"]
    for strategy in strategies:
        assert taken(strategy, *offers, draw=draw) == taken(
            strategy, *offers, draw=lot(strategy, draw)
        )


def test_lots_are_few_but_for_those_that_draw_by_weight() -> None:
    draws = [i / 1000 for i in range(1000)]
    assert {lot("cost", draw) for draw in draws} == {0.0}
    assert {lot("latency", draw) for draw in draws} == {0.0, 1 - EXPLORED}
    assert len({lot("weighted", draw) for draw in draws}) == 1000


# ---- quota ---------------------------------------------------------------------------------------


def test_quota_takes_the_largest_free_share_and_of_equal_shares_the_most_slots() -> None:
    few = like(FIRST, free_slots=9, free_share=0.9)
    many = like(SECOND, free_slots=80, free_share=0.8, left_this_minute=8)
    assert told("quota", few, many) == (
        "openai",
        "free: openai 9 (90%), aihubmix 80 (80%) 8 left this minute",
        "the most is left",
    )
    assert taken("quota", few, like(many, free_share=0.9)) == "aihubmix sora-2"


def test_quota_takes_one_without_a_limit_first() -> None:
    idle = like(FIRST, free_slots=9, free_share=1.0)
    assert told("quota", idle, SECOND)[:2] == (
        "aihubmix",
        "free: openai 9 (100%), aihubmix no limit",
    )


def test_quota_changes_its_choice_when_slots_are_taken() -> None:
    first, second = ({"free_slots": n, "free_share": n / 10} for n in (6, 5))
    assert taken("quota", like(FIRST, **first), like(SECOND, **second)) == "openai sora-2"
    assert taken("quota", like(FIRST, **second), like(SECOND, **first)) == "aihubmix sora-2"


def test_quota_takes_the_larger_balance_where_the_limits_are_alike() -> None:
    poor = like(FIRST, balance=Decimal("5.0000"), balance_currency="USD")
    rich = like(SECOND, balance=Decimal("50.0000"), balance_currency="USD")
    assert told("quota", poor, rich, THIRD)[:2] == (
        "aihubmix",
        "free: openai no limit balance 5 USD, aihubmix no limit balance 50 USD, sora_hk no limit",
    )
    assert taken("quota", poor, like(rich, balance=Decimal("4.99"))) == "openai sora-2"


def test_quota_takes_last_who_cannot_pay_for_the_shot() -> None:
    dear = {"price_per_second": Decimal("0.5"), "balance_currency": "USD"}
    broke = like(FIRST, balance=Decimal("3.99"), **dear)
    full = like(SECOND, free_slots=1, free_share=0.01)
    assert taken("quota", broke, full) == "aihubmix sora-2"
    assert taken("quota", like(broke, balance=Decimal(4)), full) == "openai sora-2"


def test_a_balance_in_another_currency_is_shown_and_not_compared() -> None:
    yuan = like(FIRST, balance=Decimal(500), balance_currency="CNY")
    dollars = like(SECOND, balance=Decimal(5), balance_currency="USD")
    who, looked_at, _ = told("quota", yuan, dollars)
    assert who == "aihubmix"
    assert "openai no limit balance 500 CNY" in looked_at
