"""Text metrics against the libraries whose values they have, and all of MMedBench at once.

Pairs are as long as MMedBench's rationales: 90 to 170 words, 150 to 300 characters in zh and ja,
from sample documents and changed by chance. Peers of BLEU and ROUGE get medray's own tokens, and
cutting them counts on both sides; of the published forms, tokens are cut beforehand, for jieba and
janome would be most of the work.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from measure import alternate, compare
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
    codes = [code for code, count in MMEDBENCH.items() for _ in range(count)]
    random.Random(0).shuffle(codes)
    rows = random_pairs(len(codes), 1, codes, (90, 170), (150, 300))
    predictions, references, languages = zip(*rows, strict=True)
    runs = {
        mode: partial(text_scores, predictions, references, languages, mode=mode)
        for mode in ("correct", "as-published")
    }
    print(f"\nall nine text metrics of {len(rows)} rationales in six languages, one core")
    for mode, timings in alternate(runs, rounds=3).items():
        seconds = sorted(timing.cpu_s for timing in timings)
        print(f"  {mode:38}{seconds[1]:>8.2f} CPU-s ({seconds[0]:.2f}-{seconds[2]:.2f})")


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
