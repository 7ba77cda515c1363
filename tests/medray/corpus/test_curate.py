"""Pieces of the curate job that need no cluster."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from medray.corpus.curate import COLUMNS, filter_shard, window_shard
from medray.corpus.medical_filter import MedicalFilterConfig
from medray.corpus.tokenizer import train_tokenizer
from medray.corpus.windows import WindowConfig
from medray.storage.location import Location
from medray.storage.shards import Shard, plan_parquet

MEDICAL = (
    "The patient had hypertension, diabetes and pneumonia; antibiotics, insulin and a diuretic "
    "were given for the infection and the oedema."
)


def shard_of(path: Path, rows: list[dict[str, str | None]]) -> Shard:
    pq.write_table(pa.Table.from_pylist(rows), path)
    columns = list(rows[0])
    return plan_parquet("test", [Location.of(path)], columns, "en", 100)[0]


def test_every_row_has_a_decision_and_kept_rows_keep_their_columns(tmp_path: Path) -> None:
    texts = [MEDICAL, "The match ended in a draw.", "", None]
    rows = [
        {"text": text, "timestamp": "t", "url": f"u{number}", "source": "s"}
        for number, text in enumerate(texts)
    ]
    shard = shard_of(tmp_path / "a.parquet", rows)
    made = filter_shard(shard, MedicalFilterConfig())
    decisions = made.tables["decisions"].to_pylist()
    assert [d["reason"] for d in decisions] == ["kept", "keyword_count", "empty", "empty"]
    assert [d["url"] for d in decisions] == ["u0", "u1", "u2", "u3"]
    assert len({d["document_id"] for d in decisions}) == 4
    kept = made.tables["kept"].to_pylist()
    assert [row["text"] for row in kept] == [MEDICAL]
    assert set(COLUMNS) < set(kept[0])
    assert kept[0]["document_id"] == decisions[0]["document_id"]
    assert made.counts["documents"] == 4
    assert made.counts["kept_characters"] == len(MEDICAL)


def test_an_end_mark_that_stands_in_a_text_is_text(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(iter(["fever and cough"] * 3), 300)
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    text = "fever</s>cough"
    shard = shard_of(tmp_path / "a.parquet", [{"document_id": "1", "text": text}])
    folder = str(tmp_path / "tokenizer")
    made = window_shard(shard, folder, WindowConfig(window_tokens=64, overlap_tokens=0))
    (tokens,) = made.tables["windows"]["tokens"].to_pylist()
    assert tokens.count(tokenizer.eos_token_id) == 1
    assert tokens[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(tokens[:-1]) == text
