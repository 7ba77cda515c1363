"""Print the medical filter's precision and recall, by language, on labelled web documents.

Reads the corpus and ``labels.csv.gz`` below the folder given as the only argument (default
``../shared/data/corpus``). Borderline documents are left out.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from medray.corpus.keywords import load_keywords
from medray.corpus.medical_filter import MedicalFilterConfig, decide
from medray.evaluation.statistics import proportion
from medray.languages import LANGUAGES


def main() -> int:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/corpus")
    if not (folder / "labels.csv.gz").is_file():
        print(f"{folder}: no labels.csv.gz there; nothing measured")
        return 0
    labels = pd.read_csv(folder / "labels.csv.gz")
    config = MedicalFilterConfig()
    for code in LANGUAGES:
        parts = []
        for file in sorted((folder / code).glob("*.parquet")):
            table = pq.read_table(file, columns=["text", "url"])
            decisions = decide(table["text"], code, config).to_pandas()
            parts.append(decisions.assign(url=table["url"].to_pylist()))
        rows = pd.concat(parts).merge(labels[labels.borderline == 0], on="url")
        medical = rows.medical == "yes"
        right = int((rows.keep & medical).sum())
        precision = proportion(right, int(rows.keep.sum()))
        recall = proportion(right, int(medical.sum()))
        told = "  ".join(
            f"{name} {cell['value']:.3f} [{cell['low']:.3f}, {cell['high']:.3f}] of {cell['n']}"
            for name, cell in (("precision", precision), ("recall", recall))
        )
        print(f"{code}  {told}  list {load_keywords(code).fingerprint}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
