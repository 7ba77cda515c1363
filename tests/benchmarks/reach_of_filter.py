"""Print the medical filter's precision and recall on labelled documents that its lists never saw.

Reads the corpus and ``labels.csv.gz`` below the folder given as the only argument (default
``../shared/data/corpus``). The lists were chosen on the documents whose text's SHA-1 begins with
0 to 7; those of 8 to f are the kept-aside half that is told here. Borderline documents are left
out. ``--development`` tells the other half.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from medray.corpus.medical.filter_config import MedicalFilterConfig
from medray.corpus.medical.keywords import load_keywords
from medray.corpus.medical.medical_filter import decide
from medray.intervals import proportion
from medray.languages import LANGUAGES

HELD_OUT = "89abcdef"


def main() -> int:
    arguments = [argument for argument in sys.argv[1:] if argument != "--development"]
    folder = Path(arguments[0] if arguments else "../shared/data/corpus")
    if not (folder / "labels.csv.gz").is_file():
        print(f"{folder}: no labels.csv.gz there; nothing measured")
        return 0
    labels = pd.read_csv(folder / "labels.csv.gz")
    held_out = labels.sha1.str[0].isin(list(HELD_OUT))
    half = labels[~held_out if "--development" in sys.argv else held_out]
    config = MedicalFilterConfig()
    for code in LANGUAGES:
        rows = judged(folder / code, code, config).merge(half, on="url")
        threshold = config.thresholds[code]
        print(
            f"\n{code}  list {load_keywords(code).fingerprint}, match {config.match[code]}, "
            f"{config.density[code]}, MKC {threshold.keyword_count}, DENS {threshold.density:g}"
        )
        for line in figures(rows):
            print(f"  {line}")
    return 0


def judged(folder: Path, code: str, config: MedicalFilterConfig) -> pd.DataFrame:
    """Return the filter's decision on every document of a language: keep, url."""
    parts = []
    for file in sorted(folder.glob("*.parquet")):
        table = pq.read_table(file, columns=["text", "url"])
        keep = decide(table["text"], code, config)["keep"].to_pylist()
        parts.append(pd.DataFrame({"keep": keep, "url": table["url"].to_pylist()}))
    return pd.concat(parts)


def figures(rows: pd.DataFrame) -> Iterator[str]:
    """Yield precision and recall, hard negatives apart, and every source apart."""
    clear = rows[rows.borderline == 0]
    medical = clear.medical == "yes"
    right = int((clear.keep & medical).sum())
    yield f"precision {told(proportion(right, int(clear.keep.sum())))}"
    yield f"recall    {told(proportion(right, int(medical.sum())))}"
    hard = clear[(clear.hard_negative == 1) & ~medical]
    yield f"hard negatives kept {told(share(hard))}; borderline kept " + told(
        share(rows[rows.borderline == 1])
    )
    for kind, part in clear[medical].groupby("kind"):
        yield f"medical, {kind}: kept {told(share(part))}"
    for kind, part in clear[~medical].groupby("kind"):
        if part.keep.any():
            yield f"not medical, {kind}: kept {told(share(part))}"
    silent = sum(not part.keep.any() for _, part in clear[~medical].groupby("kind"))
    yield f"not medical: none kept of {silent} other kinds"


def share(rows: pd.DataFrame) -> dict[str, Any]:
    return proportion(int(rows.keep.sum()), len(rows))


def told(cell: dict[str, Any]) -> str:
    if not cell["n"]:
        return "of 0"
    return f"{cell['value']:.3f} [{cell['low']:.3f}, {cell['high']:.3f}] of {cell['n']}"


if __name__ == "__main__":
    sys.exit(main())
