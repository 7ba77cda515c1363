"""Decontamination against the plain way to do it: a set of n-grams as strings, row by row.

The peer does what lm-evaluation-harness and datatrove do: words by a regular expression, every 13
of them joined and looked up (20 characters in zh and ja), and tells only that a text is
contaminated; it takes nothing out, verifies nothing and finds no short question.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from measure import alternate, compare
from texts import BYTES_PER_MB, ROOT, SAMPLES, SOURCE, corpus_texts, utf8_megabytes

from medray.corpus.decontamination import DecontaminateConfig, Decontamination
from medray.corpus.decontamination.building import build_index
from medray.corpus.decontamination.reading import read_items
from medray.languages import LANGUAGES
from medray.recipe import expand
from medray.storage.location import Location

TEXT_MB = 6.0
LEAST_MB = 0.1  # less than this says nothing of a speed
RAW = ROOT.parent / "shared" / "data" / "evaluation" / "raw"
EXAMS = {
    "en": ("medqa_us", "medqa_us_4opt/phrases_no_exclude_test.jsonl"),
    "zh": ("medqa_zh", "medqa_zh/medqa_zh.jsonl"),
    "ja": ("igakuqa", "igakuqa/*/*-[A-F].jsonl"),
    "fr": ("frenchmedmcqa", "frenchmedmcqa/*.json"),
    "ru": ("rumeddanet", "rumeddanet/*.jsonl"),
    "es": ("headqa", "headqa_es/*.json"),
}
_WORD = re.compile(r"\w+")


def locate(pattern: str, key: str) -> list[Location]:
    return expand(pattern, {}, key)


def exams() -> DecontaminateConfig:
    """Return the real exams where they lie beside the checkout, else the samples."""
    if RAW.is_dir():
        named = {code: (form, str(RAW / files)) for code, (form, files) in EXAMS.items()}
    else:
        stems = {code: LANGUAGES[code].exam_name for code in LANGUAGES}
        folder = SAMPLES / "exams" / "Test"
        named = {code: ("mmedbench", str(folder / f"{s}.jsonl")) for code, s in stems.items()}
    entries = [{"language": code, "format": f, "files": p} for code, (f, p) in named.items()]
    return DecontaminateConfig.model_validate({"questions": entries})


def ngrams(text: str, code: str) -> list[str]:
    text = text.lower()
    if LANGUAGES[code].spaced:
        words = _WORD.findall(text)
        return [" ".join(words[at : at + 13]) for at in range(len(words) - 12)]
    letters = "".join(_WORD.findall(text))
    return [letters[at : at + 20] for at in range(len(letters) - 19)]


def flag_plainly(texts: Sequence[str], known: set[str], code: str) -> list[bool]:
    return [any(ngram in known for ngram in ngrams(text, code)) for text in texts]


def report_index(config: DecontaminateConfig, folder: Path) -> None:
    """Print how long the index takes and how large it is for a million n-grams."""
    counts: dict[str, Any] = {}
    targets = iter([Location.of(folder / str(number)) for number in range(10)])

    def build() -> None:
        counts.update(build_index(config, locate, next(targets)))

    seconds = min(run.cpu_s for run in alternate({"": build}, 2)[""])
    sizes = {file.name: file.stat().st_size for file in (folder / "0").iterdir()}
    bytes_of = counts["ngrams"] / 1e6 * BYTES_PER_MB
    looked_up = (sizes["postings.arrow"] + sizes["filter.arrow"]) / bytes_of
    texts = sizes["texts.arrow"] / bytes_of
    print(f"  {', '.join(f'{name} {count}' for name, count in counts.items())}")
    print(f"  built in {seconds:.1f} CPU-s")
    print(f"  a million n-grams: {looked_up:.1f} MB to look up in, {texts:.1f} MB of items' texts")


def main() -> None:
    print(f"bench_decontamination: {TEXT_MB:.0f} MB a language, {SOURCE}")
    config = exams()
    with tempfile.TemporaryDirectory() as name:
        report_index(config, Path(name))
        step = Decontamination(config, Location.of(Path(name) / "0"))
        items = list(read_items(config, locate))
        for code in LANGUAGES:
            texts = corpus_texts(code, TEXT_MB)
            item_texts = [text for item in items if item.language == code for _, text in item.texts]
            known = {ngram for text in item_texts for ngram in ngrams(text, code)}
            found = step(pa.array(texts), code).scores["benchmark_item"].is_valid().to_pylist()
            kept = [text for text, is_found in zip(texts, found, strict=True) if not is_found]
            touched = [text for text, is_found in zip(texts, found, strict=True) if is_found]
            for title, chosen in (("untouched", kept), ("touched", touched)):
                size = utf8_megabytes(chosen)
                if size < LEAST_MB:
                    continue
                compare(
                    f"{code}, documents {title} by benchmarks: {size:.1f} MB",
                    {
                        "medray": partial(step, pa.array(chosen), code),
                        "a set of n-grams, row by row": partial(flag_plainly, chosen, known, code),
                    },
                    size,
                    "MB",
                    rounds=3,
                )


if __name__ == "__main__":
    main()
