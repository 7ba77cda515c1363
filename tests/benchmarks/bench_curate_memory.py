"""Peak memory of a worker that does one shard of 1 GiB, pass by pass, each in a fresh process.

A file of 1 GiB with many row groups is several shards and needs no more than one of 256 MiB, so
the worst files are those that cannot be cut: one row group of 1 GiB, all of it medical or none.
No benchmark to keep clean of is named: an index would add its own size.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from curate_shards import MIB, documents_of, first_pass, write_corpus
from processes import in_fresh_process
from texts import SOURCE

from medray.corpus.dedup.deduplicate import DedupResult
from medray.corpus.passes.decision_pass import Conclusion, conclude_shard
from medray.corpus.passes.filter_pass import filter_shard
from medray.corpus.passes.screen_pass import ScreenPassConfig, screen_shard
from medray.corpus.passes.walker import Pass
from medray.corpus.passes.window_pass import window_shard
from medray.corpus.reports.audit import AuditConfig
from medray.corpus.tokens.tokenizer import train_tokenizer
from medray.corpus.tokens.windows import WindowConfig
from medray.storage.location import Location
from medray.storage.mapping import Work, do_shard
from medray.storage.parquet_shards import whole_file
from medray.storage.shards import Shard

CODE = "en"
SHARD_BYTES = 1024 * MIB
GROUP_ROWS = 1000
LONG_TEXT_BYTES = 50 * 10**6
VOCABULARY_SIZE = 4096


def medical(documents: pa.Table) -> pa.Array:
    """Say of each document whether the medical filter keeps it."""
    step, *_ = first_pass().steps()
    judged = step(documents["text"].combine_chunks(), CODE)
    return pc.is_null(judged.reasons)


def long_document(documents: pa.Table) -> pa.Table:
    """Return one document of 50 MB that is made of all, a line each."""
    text = "\n".join(documents["text"].to_pylist())
    whole = (text * (LONG_TEXT_BYTES // len(text) + 1))[:LONG_TEXT_BYTES]
    number = documents.column_names.index("text")
    return documents.slice(0, 1).set_column(number, "text", pa.array([whole], pa.string()))


def passes_of(folder: Location) -> tuple[Pass, Pass, Pass]:
    """Return the first, third and fourth pass in a folder."""
    filtered, screened, concluded = (
        Pass.of(folder, name, {}) for name in ("filter", "screened", "decisions")
    )
    return filtered, screened, concluded


def do_pass(name: str, shard: Shard, folder: Location, tokenizer: Location) -> str:
    """Do one pass of one shard, as a worker does."""
    filtered, screened, concluded = passes_of(folder)
    duplicates = DedupResult(folder / "none", {}, {}, [], [])
    first = first_pass()
    kept = whole_file(shard.shard_id, filtered.table("kept", shard.shard_id), CODE)
    documents = replace(kept, file=screened.table("documents", shard.shard_id))
    conclusion = Conclusion(filtered, screened, duplicates, None, first.keywords, 1, AuditConfig())
    todo: dict[str, tuple[Shard, Work, Pass]] = {
        "filter": (shard, partial(filter_shard, first=first), filtered),
        "screen": (
            kept,
            partial(
                screen_shard,
                config=ScreenPassConfig(),
                duplicates=duplicates,
                index=folder / "index",
            ),
            screened,
        ),
        "conclude": (shard, partial(conclude_shard, conclusion=conclusion), concluded),
        "window": (
            documents,
            partial(
                window_shard,
                concluded=concluded,
                tokenizer=tokenizer,
                engine="gigatoken",
                config=WindowConfig(),
            ),
            Pass.of(folder, "windows", {}),
        ),
    }
    piece, work, one = todo[name]
    return do_shard(name, piece, work, one.folder)


def measure_file(title: str, shards: Sequence[Shard], folder: Path, tokenizer: Location) -> None:
    """Print what each pass takes for the first of a file's shards."""
    size = shards[0].file.local_path().stat().st_size / MIB
    print(f"\n{title}: {len(shards)} shards in {size:.0f} MiB of Parquet; the first of them")
    output = Location.of(folder / "output")
    for name in ("filter", "screen", "conclude", "window"):
        cost, _ = in_fresh_process(do_pass, name, shards[0], output, tokenizer)
        print(f"  {name:10}{cost}", flush=True)
        if (
            name == "filter"
            and not passes_of(output)[0].table("kept", shards[0].shard_id).is_file()
        ):
            break
    output.delete_folder()


def main() -> None:
    print(f"bench_curate_memory: {SOURCE}, {CODE}; peak resident memory, imports included")
    documents = documents_of(CODE)
    keep = medical(documents)
    files = {
        "1 GiB, many row groups": (documents, SHARD_BYTES, GROUP_ROWS),
        "1 GiB, one row group, all medical": (documents.filter(keep), SHARD_BYTES, 2**31),
        "1 GiB, one row group, none medical": (
            documents.filter(pc.invert(keep)), SHARD_BYTES, 2**31,
        ),
        "one document of 50 MB": (long_document(documents.filter(keep)), 1, 1),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trained = train_tokenizer(iter(documents["text"].to_pylist()), VOCABULARY_SIZE)
        trained.save_pretrained(folder / "tokenizer")
        for title, (table, shard_bytes, group_rows) in files.items():
            shards = write_corpus(CODE, table, folder, 1, shard_bytes, group_rows)
            measure_file(title, shards, folder, Location.of(folder / "tokenizer"))


if __name__ == "__main__":
    main()
