"""The whole deduplication over a real Ray: files in, evidence out, however the work is cut."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from medray.corpus.dedup.config import DeduplicateConfig, SourceAlarm
from medray.corpus.dedup.deduplicate import DedupResult, deduplicate
from medray.corpus.dedup.evidence import EVIDENCE
from medray.corpus.dedup.signature_pass import READ_COLUMNS
from medray.errors import InputError
from medray.runtime import RayRuntime
from medray.storage.artifact import commit
from medray.storage.location import Location, sha256_of
from medray.storage.parquet_shards import plan_parquet
from medray.storage.receipts import Ledger
from medray.storage.shards import Shard
from object_store import s3_server

from .planting import edited, text_of, words_of

CONFIG = DeduplicateConfig(alarm=SourceAlarm(minimum_documents=5))
Kept = list[tuple[str, Location]]


class _Joined(RayRuntime):
    """The session's Ray, which ``ray_local`` has started: nothing is left to connect."""

    def connect(self) -> None:
        return


def write(folder: Path, name: str, rows: list[tuple[str, str, str]]) -> Location:
    """Write (document_id, text, source) rows as a kept file of small row groups."""
    ids, texts, sources = zip(*rows, strict=True) if rows else ((), (), ())
    columns = {"document_id": ids, "text": texts, "source": sources}
    table = pa.table({key: pa.array(value, pa.string()) for key, value in columns.items()})
    pq.write_table(table, folder / f"{name}.parquet", row_group_size=7)
    return Location.of(folder / f"{name}.parquet")


def made_corpus(folder: Path) -> Kept:
    """Return 15 unrelated documents of each of four languages, with these planted.

    In every language, file b: a copy of document 0, near copies of 1 and 2; of the copy of 2, a
    further one too far from 2; and a copy of the near copy of 1. A file without rows.
    """
    kept: Kept = []
    for language in ("en", "ru", "zh", "ja"):
        chance, size = random.Random(language), CONFIG.shingle_size(language)
        words = [words_of(language, 300, chance) for _ in range(15)]
        near = [edited(words[number], size, 0.8, chance) for number in (1, 2)]
        far = list(near[1])
        for place in range(20, 290, 40):
            far[place + size] = f"far{place}"
        texts = [text_of(one) for one in words]
        first = [(f"{language}:{i}", text, "books") for i, text in enumerate(texts)]
        planted = {"copy0": texts[0], "near1": text_of(near[0]), "near2": text_of(near[1])}
        planted |= {"far2": text_of(far), "copy1": text_of(near[0])}
        second = [(f"{language}:{name}", text, "mirror") for name, text in planted.items()]
        kept.append((language, write(folder, f"{language}_a", first)))
        kept.append((language, write(folder, f"{language}_b", second)))
    kept.append(("fr", write(folder, "fr_empty", [])))
    return kept


def tables_of(kept: Kept) -> list[Shard]:
    """Return the files as whole tables, as a pass gives them."""
    return [
        table
        for language, file in kept
        for table in plan_parquet("kept", [file], READ_COLUMNS, language, 10**9)
    ]


def run(kept: Kept, work: Location, partitions: int | None) -> DedupResult:
    return deduplicate(tables_of(kept), CONFIG, work, _Joined(), partitions=partitions)


def evidence(result: DedupResult, kept: Kept) -> list[dict[str, object]]:
    return pa.concat_tables([result.removed(file) for _, file in kept]).to_pylist()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return made_corpus(tmp_path_factory.mktemp("kept"))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Location:
    return Location.of(tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def result(ray_local: None, corpus: Kept, work: Location) -> DedupResult:
    return run(corpus, work, partitions=1)


def test_what_was_planted_goes_for_a_retained_document(result: DedupResult, corpus: Kept) -> None:
    rows = evidence(result, corpus)
    expected = set()
    for language in ("en", "ru", "zh", "ja"):
        expected |= {
            (f"{language}:copy0", f"{language}:0", "exact_duplicate"),
            (f"{language}:near1", f"{language}:1", "near_duplicate"),
            (f"{language}:near2", f"{language}:2", "near_duplicate"),
            (f"{language}:copy1", f"{language}:1", "near_duplicate"),
        }
    assert {(r["removed_id"], r["retained_id"], r["reason"]) for r in rows} == expected
    assert len(rows) == 16
    assert all((r["jaccard"] == 1) == (r["reason"] == "exact_duplicate") for r in rows)
    assert all(r["jaccard"] >= 0.7 for r in rows)  # type: ignore[operator]
    assert {(r["removed_source"], r["retained_source"]) for r in rows} == {("mirror", "books")}


def test_evidence_stands_beside_the_kept_file_and_row_it_is_about(
    result: DedupResult, corpus: Kept
) -> None:
    for language, file in corpus:
        ids = pq.read_table(file.path)["document_id"].to_pylist()
        removed = result.removed(file)
        assert removed.schema == EVIDENCE
        assert [ids[row] for row in removed["row"].to_pylist()] == removed["removed_id"].to_pylist()
        assert set(removed["language"].to_pylist()) <= {language}
    assert result.evidence() == result.work / "removed" / "evidence"


def test_counts_clusters_and_sources_tell_the_same(result: DedupResult) -> None:
    counts = result.counts
    assert counts["documents"] == 80
    assert (counts["exact_duplicate"], counts["near_duplicate"]) == (4, 12)
    assert counts["verified_pairs"] == 12  # document 1, 2 and the far one: each its near copy
    assert counts["candidate_pairs"] >= 12
    assert result.cluster_sizes == {2: 8, 3: 4}
    assert {(s["language"], s["source"], s["removed"], s["documents"]) for s in result.sources} == {
        (language, source, removed, documents)
        for language in ("en", "ru", "zh", "ja")
        for source, removed, documents in (("books", 0, 15), ("mirror", 4, 5))
    }
    assert len(result.alarms) == 4
    assert "source mirror (en) loses 4 of 5 documents (80%)" in result.alarms[0]


def test_a_finished_run_is_not_done_again_but_its_alarm_can_stop(
    result: DedupResult, corpus: Kept, work: Location
) -> None:
    before = {f.path: Path(f.path).stat().st_mtime_ns for f in work.files()}
    assert run(corpus, work, partitions=3) == result
    stop = SourceAlarm(minimum_documents=5, action="stop")
    with pytest.raises(InputError, match=r"source mirror \(en\) loses 4 of 5.*alarm\.share"):
        deduplicate(tables_of(corpus), CONFIG.model_copy(update={"alarm": stop}), work, _Joined())
    assert {f.path: Path(f.path).stat().st_mtime_ns for f in work.files()} == before


def test_a_run_killed_before_its_end_keeps_its_signatures_and_sweeps_the_rest(
    result: DedupResult, corpus: Kept, tmp_path: Path
) -> None:
    shutil.copytree(result.work.path, tmp_path / "work")
    work = Location.of(tmp_path / "work")
    (work / "deduplicated.json").delete_file()
    for torn in ("between/pairs.parquet", "removed/evidence/en_b/000000000000.parquet"):
        (work / torn).write_bytes(b"torn")
    before = {f.path: Path(f.path).stat().st_mtime_ns for f in (work / "signatures").files()}
    again = run(corpus, work, partitions=1)
    assert evidence(again, corpus) == evidence(result, corpus)
    assert again.counts == result.counts
    assert not (work / "between").exists()
    assert before == {
        f.path: Path(f.path).stat().st_mtime_ns for f in (work / "signatures").files()
    }


def test_a_small_corpus_is_compared_in_this_process_to_the_same_end(
    result: DedupResult, corpus: Kept, tmp_path: Path
) -> None:
    again = run(corpus, Location.of(tmp_path), partitions=None)
    assert (again.counts, again.cluster_sizes) == (result.counts, result.cluster_sizes)
    assert again.sources == result.sources
    assert evidence(again, corpus) == evidence(result, corpus)


@pytest.mark.slow
def test_partitions_change_nothing(result: DedupResult, corpus: Kept, tmp_path: Path) -> None:
    again = run(corpus, Location.of(tmp_path), partitions=5)
    assert evidence(again, corpus) == evidence(result, corpus)
    assert again.counts == result.counts
    assert again.cluster_sizes == result.cluster_sizes
    assert again.sources == result.sources


def test_an_object_store_serves_as_well_as_a_disk(result: DedupResult, corpus: Kept) -> None:
    english = corpus[:2]
    with s3_server() as (uri, _):
        # Workers of the session's Ray do not have this server's keys in their environment.
        store = pafs.S3FileSystem(
            access_key=os.environ["AWS_ACCESS_KEY_ID"],
            secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
            endpoint_override=os.environ["AWS_ENDPOINT_URL"],
        )
        work = Location(store, f"{uri.removeprefix('s3://')}/work")
        assert evidence(run(english, work, partitions=2), english) == evidence(result, english)
        names = {file.relative_to(work).split("/")[0] for file in work.files()}
        assert names == {"deduplicated.json", "receipts.parquet", "removed", "signatures"}


def test_no_duplicates_at_all(ray_local: None, tmp_path: Path) -> None:
    chance = random.Random(9)
    rows = [(str(i), text_of(words_of("en", 50, chance)), "web") for i in range(9)]
    kept = [("en", write(tmp_path, "only", rows)), ("zh", write(tmp_path, "none", []))]
    result = run(kept, Location.of(tmp_path / "work"), partitions=2)
    assert evidence(result, kept) == []
    assert (result.counts["exact_duplicate"], result.counts["near_duplicate"]) == (0, 0)
    assert result.cluster_sizes == {}
    assert result.alarms == []


def test_each_kind_can_be_left_out(result: DedupResult, corpus: Kept, tmp_path: Path) -> None:
    english = corpus[:2]
    reasons = {}
    for kind in ("exact", "near"):
        config = CONFIG.model_copy(update={"exact": kind == "exact", "near": kind == "near"})
        tables = tables_of(english)
        made = deduplicate(tables, config, Location.of(tmp_path / kind), _Joined(), partitions=1)
        reasons[kind] = {str(r["removed_id"]): r["reason"] for r in evidence(made, english)}
    # Of the two equal copies "near1" and "copy1" the first stays where only equal texts go.
    assert reasons["exact"] == {"en:copy0": "exact_duplicate", "en:copy1": "exact_duplicate"}
    names = ("copy0", "near1", "near2", "copy1")
    assert reasons["near"] == {f"en:{name}": "near_duplicate" for name in names}


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    kept = [("en", write(tmp_path, "x", [])), ("en", write(tmp_path / "a", "x", []))]
    with pytest.raises(InputError, match=r"x\.parquet: a second file of this name"):
        run(kept, Location.of(tmp_path / "work"), partitions=1)


def test_an_empty_corpus_gives_an_empty_result(ray_local: None, tmp_path: Path) -> None:
    kept = [("en", write(tmp_path, "none", []))]
    result = run(kept, Location.of(tmp_path / "work"), partitions=1)
    assert result.counts == {"documents": 0}
    assert result.removed(kept[0][1]).num_rows == 0


def test_a_ledger_tells_the_hash_of_every_table_of_removals(result: DedupResult) -> None:
    told = {path: receipt.files[path] for receipt, path in Ledger(result.work / "removed").files()}
    files = {f.relative_to(result.work / "removed"): f for f in result.evidence().files()}
    assert told.keys() == files.keys()
    assert len(files) > 1
    for path, file in files.items():
        assert (told[path]["size_bytes"], told[path]["sha256"]) == sha256_of(file)
        assert told[path]["rows"] == pq.read_metadata(file.path).num_rows


def test_a_manifest_does_not_grow_with_the_tables_of_removals(
    result: DedupResult, tmp_path: Path
) -> None:
    shutil.copytree(result.work.path, tmp_path / "work")
    fields: dict[str, Any] = dict.fromkeys(("kind", "stage", "job", "fingerprint"), "x")
    fields |= {key: {} for key in ("config", "inputs", "counts", "results", "timings_s")}
    made = commit(Location.of(tmp_path / "work"), **fields, job_version=1, seconds=0.0)
    assert {file.path for file in made.manifest.files} == {
        "deduplicated.json", "receipts.parquet", "removed/receipts.parquet"
    }  # fmt: skip
