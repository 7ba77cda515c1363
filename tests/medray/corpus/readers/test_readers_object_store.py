"""The same readers on S3, by real HTTP, and on a Hugging Face hub of this machine."""

from __future__ import annotations

import gzip
import json
import os
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medray.corpus.readers import check_input, plan_input
from medray.errors import InputError
from medray.recipe import expand
from medray.storage.location import Location
from object_store import Trouble, s3_server

from .hub import Hub, serving
from .reading import entry_of, read_shards, text_only, told

GROUPS = 12


@pytest.fixture(scope="module")
def store() -> Iterator[tuple[str, Trouble]]:
    with s3_server() as served:
        yield served


def put(place: Location, data: bytes) -> None:
    """Store these very bytes; Arrow by itself compresses what is named ``.gz``."""
    with place.filesystem.open_output_stream(place.path, compression=None) as stream:
        stream.write(data)


def big_parquet(path: Path) -> list[str]:
    """Write 12 row groups of about 0.5 MB that do not compress; return the texts."""
    chance = random.Random(3)
    texts = [chance.randbytes(12_500).hex() for _ in range(GROUPS * 40)]
    table = pa.table({"text": texts})
    pq.write_table(table, path, row_group_size=40, use_dictionary=False, compression="none")
    return texts


def read_pattern(pattern: str, shard_rows: int = 1000, **settings: Any) -> list[dict[str, Any]]:
    files = expand(pattern, {}, "stages.curate.inputs.0.files")
    entry = entry_of(**settings)
    check_input(entry, files)
    return read_shards(plan_input("test", entry, files, shard_rows, "inputs.0"), entry)


def test_every_format_is_read_from_s3(store: tuple[str, Trouble]) -> None:
    folder = Location.of(f"{store[0]}/formats")
    table = pa.table({"text": ["from parquet", None]})
    with (folder / "a.parquet").writing() as path:
        pq.write_table(table, path)
    (folder / "b.jsonl").write_bytes(b'{"text": "from lines"}\n{')
    put(folder / "deep" / "c.jsonl.gz", gzip.compress(b'{"text": "from gzip"}'))
    (folder / "d #1.txt").write_bytes(b"from text")
    (folder / "e.html").write_bytes(b"<html><body><p>" + b"A page of text. " * 40)
    rows = read_pattern(f"{store[0]}/formats/*", columns=text_only())
    assert told(rows)[:5] == ["from parquet", "no_text", "from lines", "malformed", "from text"]
    assert told(rows)[5] == "from gzip"
    assert rows[6]["text"].startswith("A page of text.")
    assert len(rows) == 7
    assert told(read_pattern(f"{store[0]}/formats/d #1.txt")) == ["from text"]


def test_options_stand_behind_a_pattern(store: tuple[str, Trouble]) -> None:
    folder = Location.of(f"{store[0]}/options")
    for name in ("part1", "part2", "part33"):
        (folder / f"{name}.txt").write_bytes(name.encode())
    endpoint = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
    options = f"?region=eu-west-1&scheme=http&endpoint_override={endpoint}"
    for pattern, names in {
        "part?.txt": ["part1", "part2"],
        f"part?.txt{options}": ["part1", "part2"],
        f"*.txt{options}": ["part1", "part2", "part33"],
        f"part1.txt{options}": ["part1"],
    }.items():
        assert told(read_pattern(f"{store[0]}/options/{pattern}")) == names
    (file,) = expand(f"{store[0]}/options/part1.txt{options}", {}, "x")
    assert file.filesystem.region == "eu-west-1"


@pytest.mark.parametrize(
    "uri",
    [
        "s3://key:hidden@bucket/*.parquet",
        "s3://bucket/*.parquet?secret_key=hidden",
        "s3://bucket/a.parquet?access_key=hidden&secret_key=hidden",
        "gs://user:hidden@bucket/a.parquet",
        "gs://bucket/*.parquet?access_token=hidden",
    ],
)
def test_a_secret_in_a_uri_is_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(InputError, match="environment") as raised:
        expand(uri, {}, "stages.curate.inputs.0.files")
    assert "hidden" not in str(raised.value)


class Relay:
    """Passes connections on to a server and counts what it sends back."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target, self.sent_bytes = target, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.listener.getsockname()[1]}"

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            for source, sink, counted in ((client, server, False), (server, client, True)):
                threading.Thread(
                    target=self._pass_on, args=(source, sink, counted), daemon=True
                ).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        try:
            while data := source.recv(2**16):
                self.sent_bytes += len(data) if counted else 0
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return


def test_a_shard_is_read_from_s3_without_the_rest_of_its_file(
    store: tuple[str, Trouble], tmp_path: Path
) -> None:
    texts = big_parquet(tmp_path / "big.parquet")
    data = (tmp_path / "big.parquet").read_bytes()
    lines = b"".join(json.dumps({"text": text}).encode() + b"\n" for text in texts)
    folder = Location.of(f"{store[0]}/ranges")
    (folder / "big.parquet").write_bytes(data)
    (folder / "big.jsonl").write_bytes(lines)
    host, port = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://").split(":")
    relay = Relay((host, int(port)))
    uri = f"{store[0]}/ranges/big.*?scheme=http&endpoint_override={relay.address}"
    entry = entry_of(columns=text_only())
    json_lines, parquet = expand(uri, {}, "x")
    shards = plan_input("test", entry, [parquet], 40, "inputs.0")
    assert len(shards) == GROUPS
    before = relay.sent_bytes
    assert told(read_shards(shards[5:6], entry)) == texts[200:240]
    assert relay.sent_bytes - before < len(data) / 4
    (whole,) = plan_input("test", entry, [json_lines], 40, "inputs.0")
    before = relay.sent_bytes
    part = replace(whole, first_unit=len(lines) // 2, end_unit=len(lines) // 2 + 100_000)
    found = told(read_shards([part], entry))
    assert found == texts[texts.index(str(found[0])) :][: len(found)]
    assert relay.sent_bytes - before < len(lines) / 4
    relay.listener.close()


def test_errors_and_slow_answers_of_s3_are_outlasted(store: tuple[str, Trouble]) -> None:
    lines = b"".join(b'{"text": "%d"}\n' % number for number in range(2000))
    put(Location.of(f"{store[0]}/trouble/a.jsonl.gz"), gzip.compress(lines))
    trouble = store[1]
    trouble.error_share, trouble.slow_down_share, trouble.delay_share = 0.1, 0.1, 0.3
    trouble.delay_s = 0.02
    rows = []
    try:
        while not (trouble.done["500"] and trouble.done["503"]):
            rows.append(read_pattern(f"{store[0]}/trouble/*", columns=text_only()))
    finally:
        trouble.error_share = trouble.slow_down_share = trouble.delay_share = 0.0
    assert all(told(found) == [str(number) for number in range(2000)] for found in rows)


READ_FROM_HUB = """
import json, sys
sys.path[:0] = json.loads(sys.argv[1])
from medray.corpus.inputs import CorpusInput
from medray.corpus.readers import check_input, plan_input, read_documents
from medray.recipe import expand
pattern, row_limit = sys.argv[2], int(sys.argv[3])
columns = {"url": None, "timestamp": None, "source": None}
entry = CorpusInput(language="en", files=pattern, columns=columns)
files = expand(pattern, {}, "stages.curate.inputs.0.files")
check_input(entry, files)
shards = plan_input("test", entry, files, row_limit, "inputs.0")
texts = [t["text"].to_pylist() for t in read_documents(shards[5], entry)]
print(json.dumps([[file.path for file in files], len(shards), sum(texts, [])]))
"""


def test_a_data_set_of_the_hub_is_read_by_its_uri(tmp_path: Path) -> None:
    texts = big_parquet(tmp_path / "big.parquet")
    data = (tmp_path / "big.parquet").read_bytes()
    files = {"en/part 0.parquet": data, "en/README.md": b"#", "fr/part 1.parquet": b"no"}
    # A process of its own: the hub's address is read where the library is first imported.
    with serving(Hub("clinic/notes", files)) as hub:
        environment = os.environ | {
            "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1",
        }  # fmt: skip
        command = [sys.executable, "-c", READ_FROM_HUB, json.dumps(sys.path)]
        done = subprocess.run(
            [*command, "hf://datasets/clinic/notes/en/*.parquet", "40"],
            env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    paths, shards, found = json.loads(done.stdout)
    assert paths == ["datasets/clinic/notes/en/part 0.parquet"]
    assert (shards, found) == (GROUPS, texts[200:240])
