"""Text metrics against the libraries whose values they have, and `medray score` of all MMedBench.

Pairs are as long as MMedBench's rationales: 90 to 170 words, 150 to 300 characters in zh and ja,
from sample documents and changed by chance. Peers of BLEU and ROUGE get medray's own tokens, and
cutting them counts on both sides; of the published forms, tokens are cut beforehand, for jieba and
janome would be most of the work.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from measure import compare
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from rouge import Rouge
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU

sys.path.insert(0, str(Path(__file__).parents[1]))
from medray.evaluation.metrics import published
from medray.evaluation.metrics.overlap import Pairs
from medray.evaluation.metrics.segmenters import published_tokens
from medray.evaluation.metrics.text import text_scores
from medray.evaluation.metrics.tokens import metric_tokens
from text_pairs import random_pairs

# MMedBench's test questions.
MMEDBENCH = {"en": 1273, "zh": 3426, "ja": 199, "fr": 622, "ru": 256, "es": 2742}
FILES = {
    "en": "English",
    "zh": "Chinese",
    "ja": "Japanese",
    "fr": "French",
    "ru": "Russian",
    "es": "Spanish",
}
PAIRS = 120  # rouge_score takes some 20 ms a pair

Rows = Sequence[tuple[str, str, str]]
Scorer = Callable[[], Sequence[float]]


class Tokenizer:
    """rouge_score's tokenizer protocol."""

    def __init__(self, code: str) -> None:
        self.code = code

    def tokenize(self, text: str) -> list[str]:
        return metric_tokens(text, self.code)


def medray_scores(rows: Rows, name: str) -> Sequence[float]:
    predictions, references, languages = zip(*rows, strict=True)
    return text_scores(predictions, references, languages, [name])[name]


def rouge_score_scores(rows: Rows) -> Sequence[float]:
    scorers = {c: RougeScorer(["rougeL"], tokenizer=Tokenizer(c)) for c in MMEDBENCH}
    return [scorers[code].score(b, a)["rougeL"].fmeasure for a, b, code in rows]


def sacrebleu_scores(rows: Rows) -> Sequence[float]:
    bleu = BLEU(tokenize="none", effective_order=True)
    cut = [(metric_tokens(a, code), metric_tokens(b, code)) for a, b, code in rows]
    return [bleu.sentence_score(" ".join(a), [" ".join(b)]).score / 100 for a, b in cut]


def nltk_scores(cut: Sequence[tuple[list[str], list[str]]]) -> Sequence[float]:
    smooth = SmoothingFunction().method1
    return [sentence_bleu([b], a, smoothing_function=smooth) for a, b in cut]


def published_bleu_scores(cut: Sequence[tuple[list[str], list[str]]]) -> Sequence[float]:
    return published.bleu(Pairs.pack([a for a, _ in cut], [[b] for _, b in cut]), 4).tolist()


def rouge_scores(texts: Sequence[tuple[str, str]]) -> Sequence[float]:
    rouge = Rouge(["rouge-l"])
    return [rouge.get_scores(a, b)[0]["rouge-l"]["f"] for a, b in texts]


def published_rouge_scores(texts: Sequence[tuple[str, str]]) -> Sequence[float]:
    return published.RougePairs([a for a, _ in texts], [[b] for _, b in texts]).rouge_l().tolist()


def against(title: str, scorers: dict[str, Scorer]) -> None:
    """Compare speeds, and print the largest difference of any pair's values."""
    mine, *others = (scorer() for scorer in scorers.values())
    compare(title, scorers, PAIRS, "pairs")
    apart = max(abs(a - b) for values in others for a, b in zip(mine, values, strict=True))
    print(f"  largest difference of a value: {apart:.1e}, mean {sum(mine) / len(mine):.4f}")
    assert apart < 1e-9


def whole_benchmark() -> None:
    """Score answer files of as many questions as MMedBench's test sets have, in six languages."""
    codes = [code for code, count in MMEDBENCH.items() for _ in range(count)]
    rows = random_pairs(len(codes), 1, codes, (90, 170), (150, 300))
    with TemporaryDirectory() as folder:
        place = Path(folder)
        _write_benchmark(place, rows)
        runs = {mode: partial(_score, place, mode) for mode in ("correct", "as-published")}
        print(f"\n`medray score` of {len(rows)} answers with rationales, all metrics, one core")
        for mode, run in runs.items():
            seconds = sorted(run() for _ in range(3))
            print(f"  {mode:38}{seconds[1]:>8.2f} s ({seconds[0]:.2f}-{seconds[2]:.2f})")


def _write_benchmark(folder: Path, rows: Rows) -> None:
    options = {letter: f"option {letter}" for letter in "ABCDE"}
    answers: list[dict[str, Any]] = []
    by_language: dict[str, list[dict[str, Any]]] = {code: [] for code in MMEDBENCH}
    for number, (prediction, reference, code) in enumerate(rows):
        right, given = "ABCDE"[number % 5], "ABCDE"[number * number % 5]
        file, row = FILES[code], len(by_language[code])
        by_language[code].append(
            {"question": f"What is {number}?", "options": options, "answer_idx": right}
            | {"rationale": reference or "none", "human_check_passed": True}
        )
        output = f"{prediction}\n###Answer: OPTION {given} IS CORRECT.</s>"
        answers.append({"id": f"{file}:{row}", "output": output})
    (folder / "mmedbench" / "Test").mkdir(parents=True)
    for code, questions in by_language.items():
        _write(folder / "mmedbench" / "Test" / f"{FILES[code]}.jsonl", questions)
    _write(folder / "answers.jsonl", answers)


def _write(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _score(folder: Path, mode: str) -> float:
    """Return the seconds that the command takes on one core, start and imports with them."""
    core = min(os.sched_getaffinity(0))
    words = [sys.executable, "-m", "jobs.cli", "score", "--benchmark", "mmedbench", "--json"]
    words += ["--predictions", str(folder / "answers.jsonl"), "--data", str(folder)]
    started = time.perf_counter()
    done = subprocess.run(
        [*words, "--mode", mode], check=True, capture_output=True, text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )  # fmt: skip
    seconds = time.perf_counter() - started
    assert json.loads(done.stdout)["items"] == sum(MMEDBENCH.values())
    return seconds


def main() -> None:
    print(f"bench_metrics: {PAIRS} pairs of texts in six languages")
    rows = [
        row for row in random_pairs(4 * PAIRS, 0, words=(90, 170), characters=(150, 300))
        if row[0].strip(". \n")
    ][:PAIRS]  # fmt: skip
    against(
        "ROUGE-L",
        {
            "medray": partial(medray_scores, rows, "rouge_l"),
            "rouge_score": partial(rouge_score_scores, rows),
        },
    )
    against(
        "BLEU-4",
        {
            "medray": partial(medray_scores, rows, "bleu_4"),
            "sacrebleu": partial(sacrebleu_scores, rows),
        },
    )
    cut = [(published_tokens(a, code), published_tokens(b, code)) for a, b, code in rows]
    against(
        "BLEU-4 as published, of tokens",
        {
            "medray": partial(published_bleu_scores, cut),
            "nltk, method1": partial(nltk_scores, cut),
        },
    )
    texts = [(" ".join(a), " ".join(b)) for a, b in cut]
    against(
        "ROUGE-L as published, of tokens",
        {
            "medray": partial(published_rouge_scores, texts),
            "rouge 1.0.1": partial(rouge_scores, texts),
        },
    )
    whole_benchmark()


if __name__ == "__main__":
    main()
