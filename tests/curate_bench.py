"""The passes of the curate job over one small file, shard by shard in this process."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import curate_runs as runs
from medray.corpus.dedup.deduplicate import DedupResult
from medray.corpus.dedup.evidence import EVIDENCE
from medray.corpus.dedup.plan import removed_folder
from medray.corpus.inputs import CorpusInput
from medray.corpus.passes.decision_pass import Conclusion, conclude_shard
from medray.corpus.passes.filter_pass import FilterPassConfig, FirstPass, filter_shard
from medray.corpus.passes.screen_pass import ScreenPassConfig, screen_shard
from medray.corpus.passes.walker import PASS_NAME, Pass
from medray.corpus.readers import plan_input
from medray.corpus.reports.audit import AuditConfig
from medray.storage.location import Location
from medray.storage.mapping import Work, do_shard
from medray.storage.parquet_shards import whole_file
from medray.storage.receipts import Ledger
from medray.storage.shards import Shard, sum_counts

ORIGIN = "inputs.0"


def do_pass(one: Pass, shards: Sequence[Shard], work: Work) -> None:
    """Do a pass as a cluster would, but here and one shard after another."""
    (one.folder / PASS_NAME).write_json(dict(one.identity))
    ledger = Ledger(one.folder)
    for shard in shards:
        do_shard(one.name, shard, work, one.folder)
    ledger.close(ledger.open().rows([shard.shard_id for shard in shards]))


class Workbench:
    """The passes of one small corpus, done shard by shard in this process."""

    def __init__(
        self,
        folder: Path,
        given: Sequence[str | None] | Path,
        source: str | None = "tests",
        rows: int = 4,
    ) -> None:
        """``given``: texts, or a file; ``rows``: of a row group and of a shard."""
        self.output, language, file = Location.of(folder / "stage"), "en", given
        if not isinstance(file, Path):
            documents = [runs.document(text, f"u{n}", source) for n, text in enumerate(given)]
            file = runs.write_documents(folder / "part.parquet", documents, row_group_size=rows)
        entry = CorpusInput(language=language, files=str(file))
        self.shards = plan_input("filter", entry, [Location.of(file)], rows, ORIGIN)
        config = FilterPassConfig()
        keywords = {language: config.filter.load_list(language)}
        self.first = FirstPass(config, keywords, {ORIGIN: entry})
        self.filtered = Pass.of(self.output, "filter", {})
        self.screened = Pass.of(self.output, "screened", {}, after=self.filtered)
        self.decisions = Pass.of(self.output, "decisions", {}, after=self.screened)
        self.duplicates = DedupResult(self.output / "duplicates", {}, {}, [], [])

    def filter(self) -> None:
        do_pass(self.filtered, self.shards, partial(filter_shard, first=self.first))

    def mark_duplicate(self, number: int, shard: int, of: str, jaccard: float | None) -> None:
        """Write down, as the second pass would, that a kept row is a duplicate of a document."""
        kept = self.filtered.table("kept", self.shards[shard].shard_id)
        row = dict.fromkeys(EVIDENCE.names) | {
            "removed_id": self.shards[shard].document_id(number), "retained_id": of,
            "reason": "exact_duplicate", "jaccard": jaccard, "language": "en", "row": 0,
        }  # fmt: skip
        folder = removed_folder(self.duplicates.work, kept).local_path()
        folder.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist([row], schema=EVIDENCE), folder / "0.parquet")

    def screen(self) -> None:
        do_pass(
            self.screened,
            [
                whole_file(s.shard_id, self.filtered.table("kept", s.shard_id), s.language)
                for s in self.shards
            ],
            partial(
                screen_shard, config=ScreenPassConfig(), duplicates=self.duplicates,
                index=self.screened.folder / "index",
            ),
        )  # fmt: skip

    def conclusion(self, rates: dict[tuple[str, str], float] | None = None) -> Conclusion:
        return Conclusion(
            self.filtered, self.screened, self.duplicates, rates, self.first.keywords, 7,
            AuditConfig(),
        )  # fmt: skip

    def do_decisions(self, conclusion: Conclusion) -> dict[str, int]:
        """Write the final decisions; return how many rows have each reason."""
        do_pass(self.decisions, self.shards, partial(conclude_shard, conclusion=conclusion))
        counts = sum_counts(Ledger(self.decisions.folder).read().values())
        return {
            name.removeprefix("final_"): count
            for name, count in counts.items()
            if name.startswith("final_")
        }

    def conclude(self, conclusion: Conclusion) -> pa.Table:
        self.do_decisions(conclusion)
        return pa.concat_tables(
            pq.read_table(self.decisions.table("decisions", shard.shard_id).path)
            for shard in self.shards
        )
