"""The first pass over large shards: through Ray, and by one plain process for each core.

Both sides do the same shards with the same function, receipts included, in workers that were
started and warmed beforehand; every pass writes into a new folder. The clock says how long the
cores were kept waiting, where nothing else runs. On a busy host believe the CPU seconds, which
are those of all processes of a side, Ray's own included, and the pass without work, which is what
Ray adds on the clock to any pass of so many shards.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from curate_shards import MIB, documents_of, first_pass, write_corpus
from processes import tree_cpu_s
from texts import SOURCE

from medray.corpus.passes.filter_pass import filter_shard
from medray.languages import LANGUAGES
from medray.runtime import WORKER_ENVIRONMENT, RayRuntime
from medray.storage.location import Location
from medray.storage.mapping import Work, do_shard, run_shards
from medray.storage.shards import Shard, ShardOutput

CORES = os.cpu_count() or 1
SHARD_BYTES = 64 * MIB
# So many that a pass takes 15 s and more: Ray adds 0.7 s to any pass, and some ms a shard.
SHARDS_OF_LANGUAGE = 4 * CORES
GROUP_ROWS = 1000
ROUNDS = 2

Pass = Callable[[Sequence[Shard], Location], object]


def timed(run: Pass, shards: Sequence[Shard], folder: Path) -> tuple[float, float]:
    """Return the seconds on the clock and of CPU that a pass into an empty folder takes."""
    output = folder / "output"
    start, cpu_s = time.perf_counter(), tree_cpu_s()
    run(shards, Location.of(output))
    taken = time.perf_counter() - start, tree_cpu_s() - cpu_s
    shutil.rmtree(output)
    return taken


def compare_passes(
    title: str, plain: Pass, through_ray: Pass, shards: Sequence[Shard], folder: Path
) -> None:
    """Print what both take, A B A B, and what Ray adds to it within each round."""
    print(f"\n{title}")
    for run in (plain, through_ray):
        timed(run, shards[::SHARDS_OF_LANGUAGE], folder)
    rounds = [
        (timed(plain, shards, folder), timed(through_ray, shards, folder)) for _ in range(ROUNDS)
    ]
    print(f"  {'median (min-max)':26}{'one process a core':>24}{'through Ray':>24}{'Ray adds':>24}")
    for number, name in enumerate(("seconds on the clock", "CPU seconds")):
        pairs = [(a[number], b[number]) for a, b in rounds]
        columns = [[a for a, _ in pairs], [b for _, b in pairs], [b - a for a, b in pairs]]
        line = f"  {name:26}" + "".join(f"{told(values):>24}" for values in columns)
        # A pass without work may take less than a tick of the CPU clock: no ratio of that.
        ratio = f"; ratio {told([b / a for a, b in pairs])}" if min(columns[0]) >= 1 else ""
        print(line + ratio, flush=True)


def no_work(shard: Shard) -> Iterator[ShardOutput]:
    """Do nothing: what is left is the way there and back, and the receipt."""
    yield ShardOutput({}, {"documents": shard.rows})


def told(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def main() -> None:
    os.environ.update(WORKER_ENVIRONMENT)
    print(f"bench_curate_ray: {SOURCE}; {CORES} cores, {ROUNDS} rounds, median (min-max)")
    filtering: Work = partial(filter_shard, first=first_pass())
    ray = RayRuntime()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shards = [
            shard
            for code in LANGUAGES
            for shard in write_corpus(
                code, documents_of(code), folder, SHARDS_OF_LANGUAGE, SHARD_BYTES, GROUP_ROWS
            )
        ]
        ray.connect()
        with multiprocessing.get_context("spawn").Pool(CORES) as pool:

            def plain(work: Work, shards: Sequence[Shard], output: Location) -> None:
                one = partial(do_shard, "filter", work=work, output=output)
                for _ in pool.imap_unordered(one, shards):
                    pass

            def through_ray(work: Work, shards: Sequence[Shard], output: Location) -> None:
                run_shards("filter", shards, work, output, ray.cpus_per_core)

            size = f"{len(shards)} shards of {SHARD_BYTES // MIB} MiB"
            for title, work in ((f"filter, {size}", filtering), (f"no work, {size}", no_work)):
                compare_passes(
                    title, partial(plain, work), partial(through_ray, work), shards, folder
                )
        ray.shutdown()


if __name__ == "__main__":
    main()
