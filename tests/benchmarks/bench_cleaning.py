"""The language check and the cleaning against the plain ways to do the same, on whole documents.

The detector's peers read the same samples as medray does; where pycld2 is installed, it too. The
plain cleaning is row by row in Python, as the filters of datatrove and NeMo-Curator are: control
characters, repeated lines, shares of characters, words and n-grams, without boilerplate and spam.
"""

from __future__ import annotations

import re
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec

import pyarrow as pa
from measure import compare
from py3langid.langid import MODEL_FILE, LanguageIdentifier
from texts import SOURCE, corpus_texts, utf8_megabytes

from medray.corpus.cleaning import Cleaning, CleaningConfig
from medray.corpus.language_check import LanguageCheck, LanguageCheckConfig, sample
from medray.languages import LANGUAGES

TEXT_MB = 3.0
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\ufeff]")
_WORD = re.compile(r"\w+")


def plainly_cleaned(text: str) -> tuple[str, list[float]]:
    """Clean one text and measure it as a row-wise filter in Python does."""
    text = _CONTROLS.sub("", text.replace("\r\n", "\n"))
    seen: set[str] = set()
    lines = []
    for line in text.split("\n"):
        if len(line) < 40 or line.strip() not in seen:
            lines.append(line)
        seen.add(line.strip())
    text = "\n".join(lines)
    visible = [character for character in text if not character.isspace()]
    letters = sum(character.isalpha() for character in visible)
    digits = sum(character.isdigit() for character in visible)
    words = _WORD.findall(text)
    shares = [letters / max(1, len(visible)), digits / max(1, len(visible))]
    for n in (2, 5):
        grams = Counter(tuple(words[at : at + n]) for at in range(len(words) - n + 1))
        shares.append(sum(count - 1 for count in grams.values()) * n / max(1, len(words)))
    return text, shares


def run_cleaning(texts: Sequence[str]) -> None:
    for text in texts:
        plainly_cleaned(text)


def detectors(samples: Sequence[str]) -> dict[str, Callable[[], object]]:
    """Return the ways to detect the language of samples, row by row."""
    library = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    ways: dict[str, Callable[[], object]] = {
        "py3langid, its own loop": lambda: [library.classify(text) for text in samples]
    }
    if find_spec("pycld2") is not None:
        import pycld2  # type: ignore[import-not-found]

        ways["pycld2"] = lambda: [pycld2.detect(text, bestEffort=True) for text in samples]
    return ways


def cpu_s(run: Callable[[], object]) -> float:
    """Return the least CPU seconds of five runs."""
    seconds = []
    for _ in range(5):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return min(seconds)


def main() -> None:
    print(f"bench_cleaning: {TEXT_MB:.0f} MB a language, {SOURCE}")
    check, cleaning = LanguageCheck(LanguageCheckConfig()), Cleaning(CleaningConfig())
    speeds: dict[str, list[float]] = {"language check, MB of sample": [], "cleaning, MB": []}
    for code in LANGUAGES:
        texts = corpus_texts(code, TEXT_MB)
        array = pa.array(texts, pa.string())
        samples = sample(array, LanguageCheckConfig().sample_bytes).to_pylist()
        size = utf8_megabytes(texts)
        sampled = f"{utf8_megabytes(samples):.1f} MB of samples of {size:.1f} MB of texts"
        compare(
            f"{code}, language check: {sampled}",
            {"medray, sampling included": partial(check, array, code)} | detectors(samples),
            utf8_megabytes(samples),
            "MB of sample",
            rounds=3,
        )
        compare(
            f"{code}, cleaning",
            {
                "medray": partial(cleaning, array, code),
                "row by row in Python, fewer rules": partial(run_cleaning, texts),
            },
            size,
            "MB",
            rounds=3,
        )
        for name, step, megabytes in zip(
            speeds, (check, cleaning), (utf8_megabytes(samples), size), strict=True
        ):
            speeds[name].append(megabytes / cpu_s(partial(step, array, code)))
    for name, values in speeds.items():
        mean = statistics.harmonic_mean(values)
        print(f"\n{name} per CPU-s, harmonic mean of six languages: {mean:.1f}")


if __name__ == "__main__":
    main()
