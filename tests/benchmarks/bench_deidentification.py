"""De-identification: speed on real documents, and on the worst that can be fed to it.

Peers do less: one pass of the plainest patterns (e-mail, international telephone, SSN), with no
checksum, no label and no name; and python's own lower-casing, the floor of any rule without case.
"""

from __future__ import annotations

import re
from functools import partial

import pyarrow as pa
from measure import compare
from texts import SOURCE, corpus_texts, utf8_megabytes

from medray.corpus.deidentification.deidentify import Deidentify, DeidentifyConfig
from medray.languages import LANGUAGES

SAMPLE_MB = 6.0
HOSTILE_CHARACTERS = 1_000_000
PLAIN = re.compile(
    r"[\w.+-]+@[\w-]+\.[\w.-]+|\+\d[\d .()-]{6,18}\d|\b\d{3}-\d{2}-\d{4}\b|\(\d{3}\) ?\d{3}-\d{4}"
)


def plain_patterns(texts: list[str]) -> int:
    """Return how many finds the plain patterns make, without replacing any."""
    return sum(len(PLAIN.findall(text)) for text in texts)


def lower(texts: list[str]) -> None:
    """Lower-case every text."""
    for text in texts:
        text.lower()


def main() -> None:
    print(f"bench_deidentification: {SOURCE}")
    step = Deidentify(DeidentifyConfig())
    for code in LANGUAGES:
        texts = corpus_texts(code, SAMPLE_MB)
        batch = pa.array(texts)
        found = sum(step(batch, code).scores["deidentified"].to_pylist())
        compare(
            f"{code}: {len(texts)} documents, {found} spans",
            {
                "medray Deidentify": partial(step, batch, code),
                "plain patterns, finds only": partial(plain_patterns, texts),
                "str.lower": partial(lower, texts),
            },
            utf8_megabytes(texts),
            "MB",
            rounds=3,
        )
    for unit in ("1", " ", "a", "@", "12 A Street ", "北京路1号"):
        text = (unit * HOSTILE_CHARACTERS)[:HOSTILE_CHARACTERS]
        compare(
            f"hostile: {unit!r} repeated to a million characters",
            {
                "medray Deidentify": partial(step.spans, text, "en"),
                "str.lower": partial(lower, [text]),
            },
            utf8_megabytes([text]),
            "MB",
            rounds=2,
        )


if __name__ == "__main__":
    main()
