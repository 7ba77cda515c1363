"""Corpora for the tests of the curate job, running it as a user does, and what it left."""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from conftest import SAMPLES

from disturbed import Placed, spawn
from medray.corpus.folders import CorpusFolders
from medray.languages import LANGUAGES
from medray.storage.location import Location
from medray.storage.receipts import LEDGER_NAME, Ledger

Document = dict[str, str | None]
SMALL = "tokenizer: {vocabulary_size: 600}\n    windows: {window_tokens: 64, overlap_tokens: 16}"


def sample_texts(code: str) -> list[str]:
    """Return the samples' documents of a language; about half of them are medical."""
    files = sorted((SAMPLES / "corpus" / code).glob("*.parquet"))
    return [text for file in files for text in pq.read_table(file)["text"].to_pylist()]


def mixtures(code: str, number: int, seed: int = 7) -> list[str]:
    """Return texts made of halves of three documents' sentences each: few are near duplicates."""
    draw, texts = random.Random(f"{seed} {code}"), sample_texts(code)
    made = []
    for _ in range(number):
        sentences = [
            sentence
            for text in draw.sample(texts[::2], 3)
            for sentence in re.findall(r"[^.。!?]+[.。!?]+", text)
            if draw.random() < 0.5
        ]
        made.append("".join(sentences))
    return made


def document(text: str | None, name: str, source: str | None = "tests") -> Document:
    return {"text": text, "timestamp": "2026-01-01", "url": name, "source": source}


def write_documents(file: Path, documents: Sequence[Document], row_group_size: int = 10) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([(name, pa.string()) for name in ("text", "timestamp", "url", "source")])
    table = pa.Table.from_pylist(list(documents), schema=schema)
    pq.write_table(table, file, row_group_size=row_group_size, compression="zstd")
    return file


def write_recipe(folder: Path, inputs: Mapping[str, str], more: str = SMALL) -> Path:
    """Write a recipe of one stage, ``curate``; ``inputs``: files by language."""
    lines = [f'      - {{language: {code}, files: "{files}"}}' for code, files in inputs.items()]
    text = "name: faults\nseed: 7\nstages:\n  curate:\n    job: curate\n    inputs:\n"
    recipe = folder / "recipe.yaml"
    recipe.write_text(text + "\n".join(lines) + f"\n    {more}\n", encoding="utf-8")
    return recipe


def write_mixtures(folder: Path, number: int, shard_rows: int) -> Path:
    """Write ``number`` documents of each language, in many shards, and a recipe for them."""
    for code in LANGUAGES:
        documents = [
            document(text, f"{code}/{n}", f"source-{n % 3}")
            for n, text in enumerate(mixtures(code, number))
        ]
        documents[1::10] = documents[0::10][: len(documents[1::10])]
        write_documents(folder / code / "part.parquet", documents, shard_rows)
    inputs = {code: f"{folder}/{code}/*.parquet" for code in LANGUAGES}
    return write_recipe(folder, inputs, f"shard_rows: {shard_rows}\n    {SMALL}")


class Curation(Placed):
    """One running `medray curate`."""

    @classmethod
    def start(
        cls,
        recipe: Path,
        workspace: str | Path,
        log: Path,
        *words: str,
        environment: Mapping[str, str] | None = None,
    ) -> Curation:
        command = [sys.executable, "-m", "jobs.cli", "curate", str(recipe)]
        command += ["--workspace", str(workspace), "--json", *words]
        return cls(spawn(command, log, environment), log)

    def place(self) -> str:
        """Return what the log says last of where the job is."""
        for line in reversed(self.log.read_text(errors="replace").splitlines()):
            if line.startswith('{"time"'):
                event = json.loads(line)
                return str(event.get("unit", event["message"])).split()[0]
        return "start"


def read_rows(folder: Location) -> list[dict[str, Any]]:
    """Return all rows of the Parquet files below a folder."""
    rows: list[dict[str, Any]] = []
    for file in folder.files():
        rows += pq.read_table(file.path, filesystem=file.filesystem).to_pylist()
    return rows


def decisions_of(stage: Location) -> dict[str, dict[str, Any]]:
    """Return the final decision on every row of the input, by document id."""
    rows = read_rows(CorpusFolders.read(stage).decisions)
    found = {row["document_id"]: row for row in rows}
    assert len(found) == len(rows), "a row was decided twice"
    return found


def contents(stage: Location) -> dict[str, list[str]]:
    """Return every table of a corpus as sorted rows, and what its manifest counts."""
    folders = CorpusFolders.read(stage)
    parts = ("decisions", "documents", "evidence", "windows")
    made = {name: sorted(repr(row) for row in read_rows(getattr(folders, name))) for name in parts}
    manifest = (stage / "manifest.json").read_json()
    made["counts"] = [json.dumps([manifest["counts"], manifest["results"]], sort_keys=True)]
    made["tokenizer"] = [(folders.tokenizer / "tokenizer.json").read_bytes().decode()]
    made["report"] = [(stage / "report" / "summary.json").read_bytes().decode()]
    made["audit"] = [(stage / "report" / "audit.csv").read_bytes().decode()]
    return made


def assert_equal_contents(made: dict[str, list[str]], expected: dict[str, list[str]]) -> None:
    """Compare part by part, so that a failure names the part and not a megabyte of rows."""
    assert {name: len(rows) for name, rows in made.items()} == {
        name: len(rows) for name, rows in expected.items()
    }
    for name, rows in expected.items():
        wrong = [(got, want) for got, want in zip(made[name], rows, strict=True) if got != want]
        assert wrong[:1] == [], f"{name}: {len(wrong)} rows differ"


def assert_swept(stage: Location) -> None:
    """Nothing that a killed process left lies below a finished stage; every ledger is true."""
    left = [file.relative_to(stage) for file in stage.files(with_partial=True)]
    assert [name for name in left if name.endswith(".partial")] == []
    assert [name for name in left if "/receipts/" in name or "/between/" in name] == []
    assert not (stage / "in_progress.json").exists()
    ledgers = [name.rpartition("/")[0] for name in left if name.endswith(LEDGER_NAME)]
    assert ledgers
    for folder in ledgers:
        named = {path for _, path in Ledger(stage / folder).files()}
        tables = {path.partition("/")[0] for path in named}
        there = {
            name.removeprefix(f"{folder}/")
            for name in left
            if name.startswith(tuple(f"{folder}/{table}/" for table in tables))
        }
        assert there == named, folder
