"""The first pass over large shards: through Ray, and by one plain process for each core.

Both sides do the same shards with the same function, receipts included; every pass writes into a
new folder. The plain processes are started and warmed beforehand. Ray's are as a run finds them:
it often gives a pass workers that have done nothing yet, which take 2 s to start and 2.2 s to
import and compile, whatever the pass's length; so the pass is one of half a minute. No CPU time is
told: that of workers that Ray ends meanwhile is lost. Believe the figures on an idle host.
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
from texts import SOURCE

from medray.corpus.passes.filter_pass import filter_shard
from medray.languages import LANGUAGES
from medray.runtime import WORKER_ENVIRONMENT, RayRuntime
from medray.storage.location import Location
from medray.storage.mapping import Work, do_shard, run_shards
from medray.storage.shards import Shard, ShardOutput

CORES = os.cpu_count() or 1
SHARD_BYTES = 64 * MIB
SHARDS_OF_LANGUAGE = 8 * CORES
GROUP_ROWS = 1000
ROUNDS = 2

Pass = Callable[[Sequence[Shard], Location], object]


def timed(run: Pass, shards: Sequence[Shard], folder: Path) -> float:
    """Return the seconds on the clock that a pass into an empty folder takes."""
    output = folder / "output"
    start = time.perf_counter()
    run(shards, Location.of(output))
    taken = time.perf_counter() - start
    shutil.rmtree(output)
    return taken


def compare_passes(
    title: str, plain: Pass, through_ray: Pass, shards: Sequence[Shard], folder: Path
) -> None:
    """Print the seconds that both take, A B A B, and what Ray adds to them within each round."""
    for run in (plain, through_ray):
        timed(run, shards[::SHARDS_OF_LANGUAGE], folder)
    rounds = [
        (timed(plain, shards, folder), timed(through_ray, shards, folder)) for _ in range(ROUNDS)
    ]
    columns = {
        "one process a core": [a for a, _ in rounds],
        "through Ray": [b for _, b in rounds],
        "Ray adds": [b - a for a, b in rounds],
    }
    print(f"\n{title}: seconds")
    for name, values in columns.items():
        # A pass without work takes next to nothing: no ratio of that.
        ratio = f"; ratio {told([b / a for a, b in rounds])}" if rounds[0][0] >= 1 else ""
        print(f"  {name:24}{told(values):>24}{ratio if name == 'Ray adds' else ''}", flush=True)


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
