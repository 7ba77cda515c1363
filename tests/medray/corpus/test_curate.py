"""The passes of the curate job on small tables, without a cluster."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import curate_runs as runs
from curate_bench import Workbench
from medray.corpus.documents import DECISIONS, NO_TEXT, READ_COLUMNS
from medray.corpus.passes.chain import send_through
from medray.corpus.passes.decision_pass import count_sources
from medray.corpus.passes.filter_pass import hash_texts
from medray.corpus.passes.window_pass import window_shard
from medray.corpus.steps import Judged
from medray.corpus.tokens.tokenizer import train_tokenizer
from medray.corpus.tokens.windows import WindowConfig
from medray.storage.folding import read_tables
from medray.storage.location import Location
from medray.storage.parquet_shards import whole_file
from medray.storage.receipts import Ledger

ORIGIN = "inputs.0"
MEDICAL = runs.sample_texts("en")[0]
PHONE = "\n\nFor an appointment call the clinic on +44 20 7946 0958 in the morning."
TEXTS = [
    MEDICAL,
    "The match ended in a draw after extra time, and nobody was pleased.",
    "",
    None,
    runs.sample_texts("fr")[0],
    runs.sample_texts("en")[2] + PHONE,
    MEDICAL,
    runs.sample_texts("en")[4],
]
# What becomes of each, the seventh being known as a duplicate of the first.
REASONS = ["kept", "keyword_count", "empty", NO_TEXT, "language", "kept", "exact_duplicate", "kept"]


class WordStep:
    """Sends texts with a word away, and puts a mark on the others."""

    def __init__(self, name: str, word: str) -> None:
        self.name, self.reasons, self.word = name, (f"has_{word}",), word
        self.seen: list[str] = []

    def __call__(self, texts: pa.StringArray, language: str) -> Judged:
        values = texts.to_pylist()
        self.seen += values
        reasons = [self.reasons[0] if self.word in text else None for text in values]
        return Judged(
            pa.array(reasons, pa.string()),
            {f"{self.name}_length": pa.array([len(text) for text in values], pa.int32())},
            pa.array([f"{text}+{self.name}" for text in values], pa.string()),
        )


def read_table(texts: Iterable[tuple[str | None, str | None]]) -> pa.Table:
    rows = [
        {"document_id": str(n), "text": text, "url": f"u{n}", "source": "s", "problem": problem}
        for n, (text, problem) in enumerate(texts)
    ]
    return pa.Table.from_pylist(rows, schema=READ_COLUMNS)


def test_a_batch_goes_through_steps_and_every_row_has_one_decision() -> None:
    one, two = WordStep("one", "bad"), WordStep("two", "sad")
    batch = read_table(
        [("good", None), ("bad", None), (None, "no_text"), ("sad", None), ("", None)]
    )
    passed = send_through([one, two], batch, "en")
    said = passed.decisions.select(["document_id", "step", "reason"]).to_pylist()
    assert [(row["document_id"], row["step"], row["reason"]) for row in said] == [
        ("0", None, "kept"), ("1", "one", "has_bad"), ("2", "read", "no_text"),
        ("3", "two", "has_sad"), ("4", None, "kept"),
    ]  # fmt: skip
    assert one.seen == ["good", "bad", "sad", ""]
    assert two.seen == ["good+one", "sad+one", "+one"]
    assert passed.decisions["one_length"].to_pylist() == [4, 3, None, 3, 0]
    assert passed.decisions["two_length"].to_pylist() == [8, None, None, 7, 4]
    assert passed.documents["text"].to_pylist() == ["good+one+two", "+one+two"]
    assert passed.documents["url"].to_pylist() == ["u0", "u4"]


@pytest.mark.parametrize("rows", [[], [(None, "no_text")], [("bad", None)]])
def test_a_batch_of_which_nothing_is_left_has_the_same_columns(
    rows: list[tuple[str | None, str | None]],
) -> None:
    steps = [WordStep("one", "bad"), WordStep("two", "sad")]
    passed = send_through(steps, read_table(rows), "en")
    whole = send_through(steps, read_table([("good", None)]), "en")
    assert passed.decisions.schema == whole.decisions.schema
    assert passed.documents.schema == whole.documents.schema
    assert passed.documents.num_rows == 0


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    made = Workbench(tmp_path, TEXTS)
    made.filter()
    made.mark_duplicate(2, 1, made.shards[0].document_id(0), 1.0)
    made.screen()
    return made


def test_the_first_pass_decides_on_every_row_and_keeps_the_medical_ones(bench: Workbench) -> None:
    tables = [
        pq.read_table(bench.filtered.table("decisions", shard.shard_id).path)
        for shard in bench.shards
    ]
    decisions = pa.concat_tables(tables)
    expected = ["kept" if reason == "exact_duplicate" else reason for reason in REASONS]
    assert decisions["reason"].to_pylist() == expected
    assert decisions["step"].to_pylist()[:5] == [None, "filter", "filter", "read", "language"]
    unseen = decisions["keyword_count"].is_null().to_pylist()
    assert [n for n, null in enumerate(unseen) if null] == [3]
    assert decisions["detected_language"].to_pylist()[1:5] == [None, None, None, "fr"]
    assert decisions["text_hash"].to_pylist() == hash_texts(pa.chunked_array([TEXTS])).to_pylist()
    receipts = list(Ledger(bench.filtered.folder).read().values())
    assert sum(receipt.counts["documents"] for receipt in receipts) == len(TEXTS)


def test_the_last_word_joins_what_every_pass_said(bench: Workbench) -> None:
    final = bench.conclude(bench.conclusion())
    assert final.schema.equals(DECISIONS)
    rows = final.to_pylist()
    assert [row["reason"] for row in rows] == REASONS
    assert [row["keep"] for row in rows] == [reason == "kept" for reason in REASONS]
    assert [row["copies"] for row in rows] == [int(reason == "kept") for reason in REASONS]
    duplicate = rows[6]
    assert duplicate["step"] == "duplicates"
    assert duplicate["retained_id"] == rows[0]["document_id"]
    assert duplicate["jaccard"] == 1.0
    assert duplicate["spans"] is None
    (span,) = rows[5]["spans"]
    assert rows[5]["deidentified"] == 1
    found = TEXTS[5][span["start"] : span["end"]] if TEXTS[5] else ""
    assert found == "+44 20 7946 0958"
    stays = pq.read_table(bench.screened.table("documents", bench.shards[1].shard_id).path)
    assert stays["document_id"].to_pylist() == [rows[5]["document_id"], rows[7]["document_id"]]
    assert "7946" not in "".join(stays["text"].to_pylist())


def test_balancing_gives_copies_and_sends_documents_away(bench: Workbench) -> None:
    sources = count_sources(read_tables(bench.screened.folder, "sources"))
    assert {group: number for group, (number, _) in sources.items()} == {("en", "tests"): 3}
    thrice = bench.conclude(bench.conclusion({("en", "tests"): 3.0}))
    assert thrice["copies"].to_pylist() == [3 * int(reason == "kept") for reason in REASONS]
    none = bench.conclude(bench.conclusion({("en", "tests"): 0.0}))
    out = pc.equal(none["reason"], "balanced_out").to_pylist()
    assert out == [reason == "kept" for reason in REASONS]
    assert none.filter(none["keep"]).num_rows == 0
    assert set(none.filter(pa.array(out))["step"].to_pylist()) == {"balance"}


def test_a_corpus_without_sources_can_be_balanced(tmp_path: Path) -> None:
    bench = Workbench(tmp_path, [MEDICAL], source=None)
    bench.filter()
    bench.screen()
    (group,) = count_sources(read_tables(bench.screened.folder, "sources"))
    final = bench.conclude(bench.conclusion({group: 2.0}))
    assert final["copies"].to_pylist() == [2]


@pytest.fixture(scope="module")
def small_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Location:
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(iter(runs.sample_texts("en")[:10]), 400).save_pretrained(folder)
    return Location.of(folder)


def windows_of(bench: Workbench, tokenizer: Location) -> tuple[list[str], int]:
    """Return (document ids in the order of their windows, number of tokens)."""
    config = WindowConfig(window_tokens=1024, layout="packed")
    ids: list[str] = []
    tokens = 0
    for shard in bench.shards:
        documents = bench.screened.table("documents", shard.shard_id)
        for made in window_shard(
            whole_file(shard.shard_id, documents, "en"), concluded=bench.decisions,
            tokenizer=tokenizer, engine="huggingface", config=config,
        ):  # fmt: skip
            for row in made.tables["windows"].to_pylist():
                ids += row["document_ids"]
            tokens += made.counts.get("tokens", 0)
    return ids, tokens


def test_copies_reach_the_windows(bench: Workbench, small_tokenizer: Location) -> None:
    """A document stands in the windows once for each of its copies."""
    tokens = {}
    for rate in (0.0, 1.0, 1.5, 3.0):
        final = bench.conclude(bench.conclusion({("en", "tests"): rate}))
        ids, tokens[rate] = windows_of(bench, small_tokenizer)
        for row in final.to_pylist():
            assert (row["document_id"] in ids) == (row["copies"] > 0), (rate, row)
    assert tokens[0.0] == 0
    assert tokens[1.0] < tokens[3.0] == 3 * tokens[1.0]
    assert tokens[1.0] < tokens[1.5] < 2 * tokens[1.0]
