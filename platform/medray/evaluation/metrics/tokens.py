"""Cutting a text into the tokens that metrics compare, by a rule for each language."""

from __future__ import annotations

import re
import string
import sys
import unicodedata

from medray.languages import language

# Han and kana.
CHARACTER = "぀-ヿ㐀-䶿一-鿿"
_SPACED = re.compile(r"\w+")
# Without blanks between words: one Han or kana character is one token, a run of other word
# characters (DNA, 120) is one token.
_UNSPACED = re.compile(rf"[{CHARACTER}]|[^\W{CHARACTER}]+")
_UNSPACED_ANSWER = re.compile(rf"[{CHARACTER}]|[^\s{CHARACTER}]+")
# ASCII's 32 signs, some of them symbols to Unicode (+ < $), and Unicode's own punctuation: 。、¿«».
SIGNS = string.punctuation + "".join(
    chr(code)
    for code in range(128, sys.maxunicode + 1)
    if unicodedata.category(chr(code)).startswith("P")
)
_ASCII_SIGNS = str.maketrans("", "", string.punctuation)
_ALL_SIGNS = str.maketrans("", "", SIGNS)


def metric_tokens(text: str, code: str) -> list[str]:
    """Return the tokens that the metrics compare: case-folded words, or characters in zh and ja."""
    pattern = _SPACED if language(code).spaced else _UNSPACED
    return pattern.findall(text.casefold())


def answer_tokens(text: str, code: str) -> list[str]:
    """Return the words of a short answer: lower case, without punctuation; characters in zh and ja.

    For English in ASCII this is Tk-Instruct's rule (``published_answer_tokens``). Like SQuAD's,
    it deletes signs, so that "12.5" is "125" and nothing else is; unlike SQuAD's, it keeps "the".
    In zh and ja a Han or kana character is one token, as MLQA counts them (Lewis et al. 2020,
    mixed segmentation).
    """
    bare = text.lower().translate(_ALL_SIGNS)
    return bare.split() if language(code).spaced else _UNSPACED_ANSWER.findall(bare)


def published_answer_tokens(text: str) -> list[str]:
    """Return the words that Tk-Instruct's compute_metrics.py compares, in every language.

    Lower case, without ASCII's signs, cut at blanks: a Chinese answer is one word, and "是。" is
    not "是".
    """
    return text.lower().translate(_ASCII_SIGNS).split()
