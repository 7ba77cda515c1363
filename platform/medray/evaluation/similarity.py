"""How alike two texts are: BLEU-1, ROUGE-1 and ROUGE-L, with a tokeniser for each language."""

from __future__ import annotations

import re

from medray.languages import language

_SPACED = re.compile(r"\w+")
# Without blanks between words: one Han or kana character is one token, a run of other word
# characters (DNA, 120) is one token.
_UNSPACED = re.compile(r"[぀-ヿ㐀-䶿一-鿿]|[^\W぀-ヿ㐀-䶿一-鿿]+")
NAMES = ("bleu_1", "rouge_1", "rouge_l")


def metric_tokens(text: str, code: str) -> list[str]:
    """Return the tokens that the metrics compare: case-folded words, or characters in zh and ja."""
    pattern = _SPACED if language(code).spaced else _UNSPACED
    return pattern.findall(text.casefold())


class _Tokenizer:
    """rouge_score's tokenizer protocol; its own default drops every letter outside a-z."""

    def __init__(self, code: str) -> None:
        self.code = code

    def tokenize(self, text: str) -> list[str]:
        return metric_tokens(text, self.code)


def similarity(prediction: str, reference: str, code: str) -> dict[str, float]:
    """Return bleu_1, rouge_1 and rouge_l of one text, each in 0..1.

    bleu_1: sacrebleu's sentence BLEU with n = 1 and brevity penalty. rouge_1, rouge_l: F1 of
    unigrams and of the longest common subsequence (rouge_score).
    """
    tokens = " ".join(metric_tokens(prediction, code)), " ".join(metric_tokens(reference, code))
    if not tokens[0] or not tokens[1]:
        return dict.fromkeys(NAMES, 0.0)
    # Imported here: the metric libraries take a second, and most commands need none.
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics.bleu import BLEU

    bleu = BLEU(max_ngram_order=1, tokenize="none", smooth_method="none", effective_order=True)
    rouge = RougeScorer(["rouge1", "rougeL"], tokenizer=_Tokenizer(code))
    scores = rouge.score(reference, prediction)
    return {
        # Of equal texts sacrebleu gives 100.00000000000004.
        "bleu_1": min(1.0, bleu.sentence_score(tokens[0], [tokens[1]]).score / 100),
        "rouge_1": scores["rouge1"].fmeasure,
        "rouge_l": scores["rougeL"].fmeasure,
    }
