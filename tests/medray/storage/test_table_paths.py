"""What a stage's end keeps, removes and lists, on a disk and in an object store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from medray.corpus.passes.walker import Pass, Walker
from medray.storage import location as module
from medray.storage.artifact import commit
from medray.storage.location import Location
from medray.storage.receipt_rows import rows_of
from medray.storage.receipts import Ledger
from medray.storage.shards import Receipt
from object_store import s3_server

FILE = {"rows": 1, "size_bytes": 1, "sha256": "00"}
FIELDS: dict[str, Any] = {
    "kind": "text",
    "stage": "one",
    "job": "write",
    "job_version": 1,
    "fingerprint": "f" * 32,
    "config": {},
    "inputs": {},
    "counts": {},
    "results": {},
    "seconds": 1.5,
    "timings_s": {},
}


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3_server() as (uri, _):
        yield uri


@pytest.fixture(params=["disk", "store", "store listed as a whole"])
def stage(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Location:
    """A folder that does not exist yet; the last as in a store that shows no folders."""
    if request.param == "disk":
        return Location.of(tmp_path / "stage")
    if request.param != "store":
        monkeypatch.setattr(module, "STORES_WITHOUT_FOLDERS", ("s3",))
    return Location.of(f"{request.getfixturevalue('bucket')}/{tmp_path.name}/stage")


def receipt(*paths: str) -> Receipt:
    return Receipt("one", "filter", "en", "a.parquet", {}, dict.fromkeys(paths, FILE))


def write(folder: Location, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(b"x")


def names_below(folder: Location) -> set[str]:
    return {file.relative_to(folder) for file in folder.files(with_partial=True)}


def listed(stage: Location) -> list[str]:
    """Commit and return what the manifest lists."""
    return [entry.path for entry in commit(stage, **FIELDS).manifest.files]


def finished_step(folder: Location, *paths: str) -> None:
    """Leave a step's tables and their ledger."""
    write(folder, *paths)
    Ledger(folder).write(rows_of([receipt(*paths)]))


def test_a_manifest_lists_the_ledgers_and_what_no_ledger_tells_of(stage: Location) -> None:
    finished_step(stage / "filter" / "f1", "kept/one.parquet", "decisions/one.parquet")
    finished_step(stage / "filter" / "f1" / "folded" / "sums", "merged/one.parquet")
    # A step's tables are told by its own ledger alone, however much two names are alike.
    write(stage, "filter/f1/kept/two.parquet", "filter/f1/kept/deep/one.parquet")
    write(stage, "filter/f1-other/kept/one.parquet", "kept/one.parquet")
    write(stage, "filter/f1/folded/kept/one.parquet", "report.json", "a.b/c", "a/b")
    write(stage, "in_progress.json", "a/manifest.json")
    assert listed(stage) == [
        "a.b/c",
        "a/b",
        "a/manifest.json",
        "filter/f1-other/kept/one.parquet",
        "filter/f1/folded/kept/one.parquet",
        "filter/f1/folded/sums/receipts.parquet",
        "filter/f1/kept/deep/one.parquet",
        "filter/f1/kept/two.parquet",
        "filter/f1/receipts.parquet",
        "kept/one.parquet",
        "report.json",
    ]


def test_a_ledger_at_the_top_and_one_without_a_table_are_read(stage: Location) -> None:
    finished_step(stage, "pages/日本 é/one.parquet", "pages/fr/one.parquet")
    Ledger(stage / "empty").write(rows_of([]))
    write(stage, "empty/kept/one.parquet")
    assert listed(stage) == ["empty/kept/one.parquet", "empty/receipts.parquet", "receipts.parquet"]


def test_an_empty_stage_has_an_empty_manifest(stage: Location) -> None:
    assert listed(stage) == []


def test_closing_a_step_removes_what_no_receipt_names_at_every_depth(stage: Location) -> None:
    ledger = Ledger(stage)
    ledger.commit(receipt("kept/one.parquet", "pages/fr/one.parquet"))
    write(stage, "kept/one.parquet", "kept/two.parquet", "kept/.one.parquet.12.partial")
    write(stage, "kept/deep/one.parquet", "pages/fr/one.parquet", "pages/fr/deep/er/one.parquet")
    write(stage, "tokenizer/tokenizer.json")
    ledger.close(ledger.open().rows())
    assert names_below(stage) == {
        "kept/one.parquet",
        "pages/fr/one.parquet",
        "receipts.parquet",
        "tokenizer/tokenizer.json",  # no table of the step lies there: not its folder
    }


def walker_of(stage: Location, *passes: Pass) -> Walker:
    context: Any = SimpleNamespace(output=stage)
    return Walker(context, 1, list(passes))


def test_a_stage_keeps_its_passes_and_removes_earlier_ones(stage: Location) -> None:
    one = Pass.of(stage, "filter", {"a": 1})
    finished_step(one.folder, "kept/one.parquet")
    write(stage, "filter/0123/kept/one.parquet", "filter/0123/deep/er/pass.json")
    write(stage, "report/summary.json", "filter/note.txt")
    walker_of(stage, one).sweep()
    assert names_below(stage) == {
        f"filter/{one.fingerprint}/kept/one.parquet",
        f"filter/{one.fingerprint}/receipts.parquet",
        "filter/note.txt",
        "report/summary.json",
    }


def test_what_killed_writers_left_goes_from_every_folder_of_a_disk(tmp_path: Path) -> None:
    stage = Location.of(tmp_path)
    whole = {"a/kept/one.parquet", "a/b/c/d/e.json", "top.json"}
    write(stage, *whole)
    left = ("a/kept/.one.parquet.12.partial", "a/b/c/d/.e.json.34.partial", ".top.json.5.partial")
    write(stage, *left)
    walker_of(stage).sweep()
    assert names_below(stage) == whole


def test_a_leftover_that_goes_during_the_sweep_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, ask = Location.of(tmp_path), Location.is_file
    write(stage, "a/.one.12.partial", "a/.two.34.partial", "a/two")

    def removed_after(location: Location) -> bool:
        answer = ask(location)
        location.local_path().unlink()  # as its writer does that fails just now
        return answer

    monkeypatch.setattr(Location, "is_file", removed_after)
    walker_of(stage).sweep()
    assert names_below(stage) == {"a/two"}


def test_a_folder_that_comes_or_goes_during_the_walk_is_no_error(stage: Location) -> None:
    write(stage, "a/1", "b/1", "c/1")
    walk = stage.walk()
    found = [next(walk)]
    (stage / "b").delete_folder()
    write(stage, "c/2", "d/1")
    found += walk
    told = {folder.relative_to(stage): names for folder, names in found}
    assert told["a"] == ["1"]
    assert "1" in told["c"]
    if module.STORES_WITHOUT_FOLDERS != ("s3",):
        assert told["b"] == []
        assert told["c"] == ["1", "2"]


def test_a_file_that_vanishes_before_it_is_hashed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, walk = Location.of(tmp_path), Location.walk
    write(stage, "a/1", "a/2")

    def removed_after(location: Location) -> Iterator[tuple[Location, list[str]]]:
        yield from walk(location)
        (location / "a" / "2").delete_file()

    monkeypatch.setattr(Location, "walk", removed_after)
    with pytest.raises(FileNotFoundError, match="a/2"):
        listed(stage)
    assert not (stage / "manifest.json").exists()
