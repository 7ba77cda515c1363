"""The paths of a finished step's tables, and which files of a folder are not among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medray.storage.location import Location
from medray.storage.parquet_shards import open_parquet

# The only column that is read: as objects, a ledger's receipts with their files take 2 KB each.
_COLUMN = "files.list.element.path"


@dataclass(frozen=True)
class TablePaths:
    """The paths, below a step's output, of all tables that its ledger tells of.

    They stay Arrow text, 35 bytes each: as Python strings in sets they would take over 100.
    """

    output: Location
    paths: pa.ChunkedArray

    @classmethod
    def read(cls, output: Location, ledger: Location) -> TablePaths:
        """Return the paths that stand in a ledger; none where it does not exist."""
        paths: list[pa.Array] = []
        if ledger.is_file():
            with open_parquet(ledger) as parquet:
                for group in range(parquet.num_row_groups):
                    rows = parquet.read_row_group(group, columns=[_COLUMN], use_threads=False)
                    files = (pc.list_flatten(chunk) for chunk in rows["files"].chunks)
                    paths += (pc.struct_field(of_group, "path") for of_group in files)
        return cls(output, pa.chunked_array(paths, pa.string()))

    def folders(self) -> list[Location]:
        """Return the folders that the tables lie in."""
        names = pc.unique(pc.replace_substring_regex(self.paths, r"/[^/]*$", ""))
        return [self.output / name for name in sorted(names.to_pylist())]

    def is_above(self, folder: Location) -> bool:
        """Say whether a folder is the step's output or lies in it."""
        return f"{folder.path}/".startswith(f"{self.output.path}/")

    def others(self, folder: Location, names: Sequence[str]) -> list[str]:
        """Return those of the names in a folder of the step's output that are no table of it."""
        prefix = (folder / "").relative_to(self.output)
        there = pc.binary_join_element_wise(prefix, pa.array(names, pa.string()), "")
        # The table to look up in is made of one folder's names, not of all paths.
        found = pc.index_in(self.paths, value_set=there).drop_null()
        is_other = np.ones(len(names), bool)
        is_other[found.to_numpy()] = False
        return [names[number] for number in np.flatnonzero(is_other)]
