"""A first pass taken from an earlier one's decisions is what reading the text would give."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import curate_runs as runs
from curate_bench import Workbench, do_pass
from medray.corpus.medical.medical_filter import MedicalFilterConfig
from medray.corpus.passes.filter_pass import FilterPassConfig, FirstPass, filter_shard
from medray.corpus.passes.first_pass import check_rethreshold, same_but_thresholds
from medray.corpus.passes.rethreshold import rethreshold_shard
from medray.corpus.passes.walker import Pass
from medray.errors import InputError
from medray.storage.location import Location
from medray.storage.shards import ShardOutput


def with_thresholds(first: FirstPass, keyword_count: int, density: float) -> FirstPass:
    thresholds = {"en": {"keyword_count": keyword_count, "density": density}}
    config = FilterPassConfig(filter=MedicalFilterConfig.model_validate({"thresholds": thresholds}))
    return replace(first, config=config)


def joined(outputs: Iterable[ShardOutput]) -> tuple[dict[str, pa.Table], dict[str, int]]:
    tables: dict[str, list[pa.Table]] = {}
    counts: dict[str, int] = {}
    for output in outputs:
        for name, table in output.tables.items():
            tables.setdefault(name, []).append(table)
        for name, count in output.counts.items():
            counts[name] = counts.get(name, 0) + count
    return {
        name: pa.concat_tables(parts).combine_chunks() for name, parts in tables.items()
    }, counts


@dataclass(frozen=True)
class Before:
    """A corpus with documents of every reason, once passed, and densities that occur in it."""

    bench: Workbench
    densities: list[float]


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Before:
    medical, other = runs.sample_texts("en")[:12:2], runs.sample_texts("en")[1:12:2]
    texts: list[str | None] = [*medical, *other, *runs.sample_texts("fr")[:6:2], "", " \n", None]
    texts += [f"{text} {filler}" for text, filler in zip(medical, other, strict=True)]
    texts += ["aspirin. " * 80, "asthma " + "x" * 70]
    bench = Workbench(tmp_path_factory.mktemp("before"), texts)
    bench.filter()
    densities: list[float] = []
    for shard in bench.shards:
        table = pq.read_table(bench.filtered.table("decisions", shard.shard_id).path)
        densities += table["density"].drop_null().to_pylist()
    return Before(bench, densities)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_decisions_and_documents_equal_those_of_a_fresh_pass(before: Before, data: Any) -> None:
    edges = st.sampled_from([0.0, 0.01, 0.025, 0.05, 1.0, *before.densities])
    first = with_thresholds(
        before.bench.first, data.draw(st.sampled_from([1, 2, 3, 5, 9])), data.draw(edges)
    )
    for shard in before.bench.shards:
        fresh, fresh_counts = joined(filter_shard(shard, first))
        again, again_counts = joined(rethreshold_shard(shard, first, before.bench.filtered.folder))
        assert again.keys() == fresh.keys()
        for name in fresh:
            assert again[name].equals(fresh[name]), name
        read_again = again_counts.pop("read_again")
        assert again_counts == fresh_counts
        assert read_again <= fresh["decisions"].num_rows


def test_text_is_read_again_only_for_documents_that_come_in(before: Before) -> None:
    shards, folder = before.bench.shards, before.bench.filtered.folder

    def read_again(keyword_count: int, density: float) -> int:
        first = with_thresholds(before.bench.first, keyword_count, density)
        return sum(joined(rethreshold_shard(s, first, folder))[1]["read_again"] for s in shards)

    assert read_again(3, 0.025) == 0
    assert read_again(9, 0.5) == 0
    assert read_again(1, 0.0) > 0


def test_thresholds_there_and_back_give_the_same_tables(before: Before) -> None:
    bench = before.bench
    strict = with_thresholds(bench.first, 9, 0.08)
    between = Pass.of(bench.output, "filter", {"thresholds": "strict"})
    do_pass(
        between, bench.shards, lambda shard: rethreshold_shard(shard, strict, bench.filtered.folder)
    )
    for shard in bench.shards:
        back, _ = joined(rethreshold_shard(shard, bench.first, between.folder))
        for name, table in back.items():
            assert table.equals(pq.read_table(bench.filtered.table(name, shard.shard_id).path))


def identity(**changed: Any) -> dict[str, Any]:
    threshold = {"en": {"keyword_count": 3, "density": 0.025}}
    config = {"filter": {"thresholds": threshold, "match": {"en": "prefix"}}, "cleaning": {}}
    whole: dict[str, Any] = {"config": config, "shard_rows": 20, "files": {"inputs.0.files/a": "1"}}
    for key, value in changed.items():
        place = whole
        *path, last = key.split("__")
        for part in path:
            place = place[part]
        place[last] = value
    return whole


STRICTER = {"config__filter__thresholds": {"en": {"keyword_count": 9, "density": 0.025}}}


def test_rethreshold_wants_decisions_that_only_thresholds_differ_from(tmp_path: Any) -> None:
    output = Location.of(tmp_path)
    wanted = Pass.of(output, "filter", identity(**STRICTER))
    with pytest.raises(InputError, match="stage curate has no decisions yet; run it first"):
        check_rethreshold(output, wanted, "curate")
    do_pass(Pass.of(output, "filter", identity()), [], lambda shard: [])
    check_rethreshold(output, wanted, "curate")
    check_rethreshold(output, Pass.of(output, "filter", identity()), "curate")
    found = same_but_thresholds(output, wanted)
    assert found is not None
    assert found.folder == Pass.of(output, "filter", identity()).folder


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"shard_rows": 30}, "(shard_rows): the text must be read"),
        ({"files": {"inputs.0.files/a": "2"}}, "(files.inputs.0.files/a)"),
        (
            {"config__filter__match": {"en": "substring"}, "config__cleaning": {"a": 1, "b": 2}},
            "(config.cleaning, config.cleaning.a, config.cleaning.b and 1 more)",
        ),
    ],
)
def test_more_than_thresholds_is_refused_and_named(
    tmp_path: Any, changed: dict[str, Any], told: str
) -> None:
    output = Location.of(tmp_path)
    do_pass(Pass.of(output, "filter", identity()), [], lambda shard: [])
    with pytest.raises(InputError) as caught:
        check_rethreshold(output, Pass.of(output, "filter", identity(**changed, **STRICTER)), "s")
    assert told in str(caught.value)


def test_a_pass_that_is_not_finished_is_no_source(tmp_path: Any) -> None:
    output = Location.of(tmp_path)
    half = Pass.of(output, "filter", identity())
    (half.folder / "pass.json").write_json(dict(half.identity))
    assert same_but_thresholds(output, Pass.of(output, "filter", identity(**STRICTER))) is None
