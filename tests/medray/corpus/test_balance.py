from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from medray.corpus.balance import BalanceConfig, Group, copies, plan_balance
from medray.errors import InputError

COUNTS: dict[Group, tuple[int, int]] = {
    ("en", "mC4"): (6000, 600_000),
    ("en", "OSCAR"): (3000, 200_000),
    ("zh", "mC4"): (500, 80_000),
    ("ru", "mC4"): (500, 120_000),
}
POPULATIONS = st.dictionaries(
    st.tuples(st.sampled_from(["en", "zh", "ja", "ru"]), st.sampled_from(["mC4", "OSCAR", "x/y"])),
    st.tuples(st.integers(1, 10**9), st.integers(1, 10**13)),
    min_size=1,
)
UNITS = st.sampled_from(["characters", "documents"])
IDS = pa.array([f"{number:x}:{number}" for number in range(20_000)])


def config(**fields: Any) -> BalanceConfig:
    return BalanceConfig.model_validate(fields)


def languages(rows: dict[Group, float]) -> dict[str, float]:
    return {code: sum(v for g, v in rows.items() if g[0] == code) for code, _ in rows}


@given(POPULATIONS, UNITS)
def test_temperature_1_changes_nothing(counts: dict[Group, tuple[int, int]], unit: str) -> None:
    plan = plan_balance(counts, config(mode="temperature", alpha=1.0, unit=unit))
    assert plan.rates == dict.fromkeys(counts, 1.0)
    assert plan.shortfalls == []


@given(POPULATIONS, st.floats(0, 1), UNITS)
def test_shares_follow_the_counts_to_the_power_alpha(
    counts: dict[Group, tuple[int, int]], alpha: float, unit: str
) -> None:
    plan = plan_balance(
        counts, config(mode="temperature", alpha=alpha, unit=unit, maximum_copies=1e15)
    )
    number = 0 if unit == "documents" else 1
    available = languages({group: count[number] for group, count in counts.items()})
    expected = languages({(row.language, row.source): row.expected for row in plan.rows})
    assert sum(expected.values()) == pytest.approx(sum(available.values()), rel=1e-3)
    # A rate has nine decimals: of one below 1e-5 that is less than four digits.
    assume(all(row.rate > 1e-5 for row in plan.rows))
    scale = [expected[code] / available[code] ** alpha for code in available]
    assert scale == pytest.approx([scale[0]] * len(scale), rel=1e-3)
    # Sources keep their shares inside a language: one rate for all of them.
    for code in available:
        rates = [rate for (language, _), rate in plan.rates.items() if language == code]
        assert rates == pytest.approx([rates[0]] * len(rates), rel=1e-3)


def test_alpha_0_makes_languages_alike_and_source_alpha_0_sources() -> None:
    plan = plan_balance(
        COUNTS,
        config(mode="temperature", alpha=0.0, source_alpha=0.0, maximum_copies=1000, size=900_000),
    )
    expected = {(row.language, row.source): row.expected for row in plan.rows}
    assert languages(expected) == pytest.approx(
        dict.fromkeys(("en", "zh", "ru"), 300_000), rel=1e-6
    )
    assert expected["en", "mC4"] == pytest.approx(expected["en", "OSCAR"], rel=1e-6)


def test_shares_are_reached_in_the_unit_asked_for() -> None:
    shares = {"en": 0.5, "zh": 0.2, "ru": 0.3}
    for unit, size in (("documents", 1000), ("characters", 200_000)):
        plan = plan_balance(COUNTS, config(mode="shares", shares=shares, unit=unit, size=size))
        expected = languages({(row.language, row.source): row.expected for row in plan.rows})
        assert {code: part / size for code, part in expected.items()} == pytest.approx(shares)


def test_a_capped_language_is_told_and_the_others_keep_their_sizes() -> None:
    """A third of 1,000,000 characters is 333,333: ru has 120,000, zh 80,000, each at most twice."""
    shares = {"en": 1 / 3, "zh": 1 / 3, "ru": 1 / 3}
    plan = plan_balance(COUNTS, config(mode="shares", shares=shares, maximum_copies=2))
    assert plan.rates == pytest.approx(
        {("en", "OSCAR"): 5 / 12, ("en", "mC4"): 5 / 12, ("ru", "mC4"): 2.0, ("zh", "mC4"): 2.0}
    )
    assert plan.shortfalls == [
        "ru: 240,000 of 333,333 characters, for 1 of 1 sources reach the cap of 2 copies",
        "zh: 160,000 of 333,333 characters, for 1 of 1 sources reach the cap of 2 copies",
    ]
    assert plan.to_json()["shortfalls"] == plan.shortfalls


def test_a_share_of_0_leaves_a_language_out() -> None:
    plan = plan_balance(COUNTS, config(mode="shares", shares={"en": 1.0, "zh": 0, "ru": 0}))
    assert plan.rates["zh", "mC4"] == plan.rates["ru", "mC4"] == 0
    assert plan.rates["en", "mC4"] == pytest.approx(1.25)


@given(POPULATIONS, st.data(), UNITS)
def test_a_plan_never_goes_above_a_quota(
    counts: dict[Group, tuple[int, int]], data: st.DataObject, unit: str
) -> None:
    keys = [code for code, _ in counts] + ["/".join(group) for group in counts]
    drawn = data.draw(st.dictionaries(st.sampled_from(keys), st.integers(0, 10**14), min_size=1))
    # A language's own quota holds those of its sources.
    quotas = {
        key: quota + sum(q for k, q in drawn.items() if "/" not in key and k.startswith(f"{key}/"))
        for key, quota in drawn.items()
    }
    plan = plan_balance(counts, config(mode="quota", quotas=quotas, unit=unit))
    expected = {(row.language, row.source): row.expected for row in plan.rows}
    by_language = languages(expected)
    for key, quota in quotas.items():
        language, _, source = key.partition("/")
        reached = expected[language, source] if source else by_language[language]
        assert reached <= quota * (1 + 1e-9)
        if all(row.rate < 4 for row in plan.rows) and source:
            size = counts[language, source][0 if unit == "documents" else 1]
            assert reached >= quota * (1 - 1e-6) - size * 2e-9
    named = {key.partition("/")[0] for key in quotas}
    assert all(row.rate == 1 for row in plan.rows if row.language not in named)


def test_a_languages_quota_is_shared_by_the_sources_without_their_own() -> None:
    counts = COUNTS | {("en", "wiki"): (10, 200_000)}
    plan = plan_balance(counts, config(mode="quota", quotas={"en": 300_000, "en/mC4": 100_000}))
    expected = {(row.language, row.source): row.expected for row in plan.rows}
    assert expected["en", "mC4"] == pytest.approx(100_000)
    assert expected["en", "wiki"] == expected["en", "OSCAR"] == pytest.approx(100_000)
    assert plan.rates["zh", "mC4"] == 1


def test_a_group_without_text_has_nothing_to_balance() -> None:
    counts = COUNTS | {("fr", "mC4"): (3, 0)}
    for fields in (
        {"mode": "temperature", "alpha": 0.5},
        {"mode": "shares", "shares": {"en": 0.5, "zh": 0.25, "ru": 0.25}},
        {"mode": "quota", "quotas": {"en": 5}},
    ):
        assert plan_balance(counts, config(**fields)).rates["fr", "mC4"] == 1
    assert plan_balance({}, config(mode="temperature", alpha=0.5)).rates == {}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"mode": "shares", "shares": {"en": 0.5, "zh": 0.4}}, "add up to 0.9, not to 1"),
        ({"mode": "shares", "shares": {"en": 2.0, "zh": -1.0}}, "numbers from 0 up"),
        ({"mode": "shares", "shares": {"de": 1.0}}, "no language de; there are en, zh"),
        ({"mode": "quota", "quotas": {"deu/mC4": 1}}, "no language deu"),
        ({"mode": "temperature"}, "set by alpha alone"),
        ({"mode": "temperature", "alpha": 0.5, "quotas": {"en": 1}}, "set by alpha alone, not"),
        ({"mode": "quota", "quotas": {"en": 1}, "size": 5}, "neither size nor source_alpha"),
        ({"mode": "temperature", "alpha": 1.5}, "less than or equal to 1"),
        ({"mode": "shares", "shares": {"en": math.nan}}, "numbers from 0 up"),
    ],
)
def test_a_wrong_configuration_is_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        config(**fields)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"mode": "shares", "shares": {"en": 0.9, "fr": 0.1}}, "no document of fr was kept"),
        ({"mode": "shares", "shares": {"en": 0.9, "zh": 0.1}}, "no share of ru; give 0"),
        ({"mode": "quota", "quotas": {"fr": 1}}, "no document of fr; there are en/OSCAR, en/mC4"),
        ({"mode": "quota", "quotas": {"en/CC": 1}}, "no document of en/CC"),
        ({"mode": "quota", "quotas": {"en": 1, "en/mC4": 2}}, "add up to more than en's own"),
    ],
)
def test_what_the_corpus_cannot_give_is_an_input_error(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        plan_balance(COUNTS, config(**fields))


@given(st.floats(0, 4), st.integers(0, 2**32))
def test_copies_reach_the_rate(rate: float, seed: int) -> None:
    """Five standard errors of a coin thrown 20,000 times: 5 * sqrt(0.25 / 20000) = 0.0177."""
    found = copies(IDS, rate, seed)
    assert found.type == pa.int32()
    numbers = found.to_numpy()
    assert set(numbers.tolist()) <= {math.floor(rate), math.floor(rate) + 1}
    assert numbers.mean() == pytest.approx(rate, abs=0.0177)


@given(st.floats(0, 4), st.floats(0, 4))
def test_a_higher_rate_never_gives_fewer_copies(one: float, other: float) -> None:
    low, high = sorted((one, other))
    ids = IDS.slice(0, 2000)
    assert np.all(copies(ids, low, 7).to_numpy() <= copies(ids, high, 7).to_numpy())


@pytest.mark.parametrize("rate", [0, 1, 2, 4])
def test_a_whole_rate_is_the_same_for_all(rate: int) -> None:
    assert set(copies(IDS, rate, 3).to_pylist()) == {rate}


def test_copies_depend_on_the_id_and_the_seed_alone() -> None:
    ids = IDS.slice(0, 500).to_pylist()
    one = dict(zip(ids, copies(pa.array(ids), 0.5, 11).to_pylist(), strict=True))
    random.Random(0).shuffle(ids)
    chunked = pa.chunked_array([ids[:100], ids[100:]], pa.large_string())
    assert dict(zip(ids, copies(chunked, 0.5, 11).to_pylist(), strict=True)) == one
    assert copies(pa.array(ids), 0.5, 12).to_pylist() != [one[name] for name in ids]


def test_copies_are_stable_for_ever() -> None:
    """Written down once: another answer here silently changes every balanced corpus."""
    ids = pa.array(["0123456789ab:0", "0123456789ab:1", "文書:2", ""])
    assert copies(ids, 0.5, 0).to_pylist() == [0, 0, 0, 1]
    assert copies(ids, 1.25, 42).to_pylist() == [1, 1, 1, 1]


def test_reached_shares_of_a_population_lie_near_the_plan() -> None:
    """Documents of unequal length: expected characters are met within 3 % of 600,000 and more."""
    generator = np.random.default_rng(5)
    population = {
        ("en", "mC4"): generator.integers(100, 3000, 8000),
        ("ru", "mC4"): generator.integers(100, 3000, 3000),
        ("ja", "mC4"): generator.integers(100, 3000, 1000),
    }
    counts = {group: (len(sizes), int(sizes.sum())) for group, sizes in population.items()}
    plan = plan_balance(counts, config(mode="temperature", alpha=0.3))
    for row in plan.rows:
        sizes = population[row.language, row.source]
        ids = pa.array([f"{row.language}:{number}" for number in range(len(sizes))])
        reached = int((copies(ids, row.rate, 1).to_numpy() * sizes).sum())
        assert reached == pytest.approx(row.expected, rel=0.03)


@pytest.mark.parametrize("rate", [-0.1, math.nan, math.inf])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="a rate is"):
        copies(IDS, rate, 0)
