"""Broken and extreme input: a counted reason or a clear stop, never another corpus."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import curate_runs as runs
from curate_bench import ORIGIN, Workbench
from medray.corpus.documents import INVALID_UTF8
from medray.corpus.inputs import CorpusInput
from medray.corpus.passes.filter_pass import FirstPass, filter_shard
from medray.corpus.readers import check_input, plan_input
from medray.errors import InputError
from medray.storage.location import Location

TEXTS = runs.sample_texts("en")[:8]
# 1 GiB is what a worker may take.
WORKER_BYTES = 2**30


def judged(file: Path, first: FirstPass) -> list[str]:
    """Return every row that the first pass makes of a file, as text; InputError where it stops."""
    entry = CorpusInput(language="en", files=str(file))
    check_input(entry, [Location.of(file)])
    rows = []
    for shard in plan_input("filter", entry, [Location.of(file)], 4, ORIGIN):
        for output in filter_shard(shard, first):
            for name, table in output.tables.items():
                # The id begins with the file's content, which is another one.
                number = table.column_names.index("document_id")
                rows += [f"{name} {row}" for row in table.remove_column(number).to_pylist()]
    return rows


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    return Workbench(tmp_path_factory.mktemp("bench"), TEXTS)


def test_a_file_truncated_at_any_byte_stops_the_run_before_it_begins(tmp_path: Path) -> None:
    documents = [runs.document("A short text.", f"u{n}") for n in range(6)]
    whole = runs.write_documents(tmp_path / "whole.parquet", documents, 2).read_bytes()
    torn = tmp_path / "torn.parquet"
    entry = CorpusInput(language="en", files=str(torn))
    for size in range(len(whole)):
        torn.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"torn\.parquet: not a whole Parquet file"):
            check_input(entry, [Location.of(torn)])


@pytest.fixture(scope="module")
def flipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("flipped")


def flip(data: bytes, position: int, bit: int) -> bytes:
    """Return the bytes with one bit of the part before the footer turned over."""
    footer = int.from_bytes(data[-8:-4], "little") + 8
    place = 4 + position % (len(data) - footer - 4)
    return data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


FLIPS = {"position": st.integers(0, 2**20), "bit": st.integers(0, 7)}
CODECS = ("zstd", "snappy", "none")


@pytest.mark.parametrize("codec", CODECS)
@settings(max_examples=40, deadline=None)
@given(**FLIPS)
def test_with_page_checksums_no_flipped_bit_changes_a_decision(
    bench: Workbench, flipped: Path, codec: str, position: int, bit: int
) -> None:
    table = pq.read_table(bench.shards[0].file.path)
    file = flipped / "a.parquet"
    pq.write_table(table, file, compression=codec, row_group_size=4, write_page_checksum=True)
    whole = judged(file, bench.first)
    file.write_bytes(flip(file.read_bytes(), position, bit))
    try:
        found = judged(file, bench.first)
    except InputError as error:
        assert str(file) in str(error)
    else:
        assert found == whole


@pytest.mark.parametrize("codec", CODECS)
@settings(max_examples=40, deadline=None)
@given(**FLIPS)
def test_without_checksums_a_flipped_bit_loses_no_row(
    bench: Workbench, flipped: Path, codec: str, position: int, bit: int
) -> None:
    """Nobody can see that a letter became another one; all else is refused or a reason."""
    file = flipped / "b.parquet"
    table = pq.read_table(bench.shards[0].file.path)
    pq.write_table(table, file, compression=codec, row_group_size=4)
    file.write_bytes(flip(file.read_bytes(), position, bit))
    try:
        found = judged(file, bench.first)
    except InputError as error:
        assert str(file) in str(error)
    else:
        assert len([row for row in found if row.startswith("decisions")]) == len(TEXTS)


def test_tables_that_medray_writes_have_page_checksums(bench: Workbench) -> None:
    bench.filter()
    table = bench.filtered.table("kept", bench.shards[0].shard_id).local_path()
    metadata = pq.ParquetFile(table).metadata.row_group(0).column(1)
    assert metadata.path_in_schema == "text"
    assert metadata.statistics is None, "a footer holds text"
    begin = metadata.data_page_offset
    data = bytearray(table.read_bytes())
    data[begin + metadata.total_compressed_size // 2] ^= 1
    table.write_bytes(data)
    with pytest.raises(InputError, match="CRC"):
        bench.screen()


def test_rows_of_invalid_utf8_are_counted_and_the_others_judged(
    bench: Workbench, tmp_path: Path
) -> None:
    texts = [text.encode() for text in TEXTS]
    texts[1], texts[6] = b"\xff\xfe broken", texts[6][:-1] + b"\xc3"
    offsets = pa.array([0, *(sum(map(len, texts[: n + 1])) for n in range(8))], pa.int32())
    data = pa.py_buffer(b"".join(texts))
    column = pa.StringArray.from_buffers(8, offsets.buffers()[1], data)
    table = pq.read_table(bench.shards[0].file.path).set_column(0, "text", column)
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=4)
    good = judged(bench.shards[0].file.local_path(), bench.first)
    found = judged(tmp_path / "a.parquet", bench.first)
    decided = [row for row in found if row.startswith("decisions")]
    assert len(decided) == 8
    for number in (1, 6):
        assert f"'step': 'read', 'reason': '{INVALID_UTF8}'" in decided[number]
    others = [n for n in range(8) if n not in (1, 6)]
    before = [row for row in good if row.startswith("decisions")]
    assert [decided[n] for n in others] == [before[n] for n in others]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no Parquet at all" * 10])
def test_a_file_that_is_none_stops_the_run(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.parquet"
    file.write_bytes(content)
    with pytest.raises(InputError, match="not a whole Parquet file"):
        check_input(CorpusInput(language="en", files=str(file)), [Location.of(file)])


def test_a_file_without_rows_adds_nothing(bench: Workbench, tmp_path: Path) -> None:
    assert judged(runs.write_documents(tmp_path / "a.parquet", []), bench.first) == []


# In a process of its own, whose memory can be told: the passes over a corpus of extremes.
MEASURE = """
import json, sys, time
from pathlib import Path
sys.path[:0] = {path}
import curate_runs as runs
from curate_bench import Workbench
warm = Workbench(Path({folder!r}) / "warm", runs.sample_texts("en")[:8])
warm.filter(); warm.screen(); warm.conclude(warm.conclusion())
told = {{"seconds": []}}
for number, file in enumerate({files}):
    begin = time.process_time()
    bench = Workbench(Path({folder!r}) / str(number), Path(file), rows=10**7)
    bench.filter(); bench.screen()
    told["reasons"] = bench.do_decisions(bench.conclusion())
    told["seconds"].append(time.process_time() - begin)
# Not getrusage's maximum: a child begins with that of the process that started it.
status = Path("/proc/self/status").read_text()
told["bytes"] = int(status.split("VmHWM:")[1].split()[0]) * 1024
print(json.dumps(told))
"""


def measure(folder: Path, *corpora: Sequence[str]) -> dict[str, Any]:
    files = []
    for number, texts in enumerate(corpora):
        documents = [runs.document(text, "u") for text in texts]
        file = runs.write_documents(folder / f"{number}.parquet", documents, len(texts))
        files.append(str(file))
    code = MEASURE.format(path=sys.path, folder=str(folder), files=files)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_one_document_of_50_mb_is_decided_within_a_workers_memory(tmp_path: Path) -> None:
    mixtures = runs.mixtures("en", 200)
    large = " ".join(f"{n} {text}" for n in range(300) for text in mixtures)[:50_000_000]
    assert len(large) == 50_000_000
    told = measure(tmp_path, [large, *runs.sample_texts("en")[:7]])
    print(told)
    assert told["reasons"] == {"too_long": 1, "kept": 4, "keyword_count": 3}
    assert told["bytes"] <= WORKER_BYTES


def test_a_million_documents_of_one_word_take_time_in_proportion(tmp_path: Path) -> None:
    told = measure(tmp_path, ["word"] * 100_000, ["word"] * 1_000_000)
    print(told)
    assert told["reasons"] == {"keyword_count": 1_000_000}
    few, many = told["seconds"]
    assert many < 15 * few
    assert told["bytes"] <= WORKER_BYTES
