"""Cleaning: what nobody reads is taken out of a text, and a text that is no prose goes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from medray.corpus.cleaning import line_kernels as count
from medray.corpus.cleaning.characters import Counts, clean_characters
from medray.corpus.cleaning.lines import CleanedLines, clean_lines
from medray.corpus.cleaning.phrases import phrases_fingerprint
from medray.corpus.cleaning.repetition import repetition
from medray.corpus.cleaning.rules import REASONS, CleaningConfig, cleaning_reasons
from medray.corpus.steps import Judged
from medray.languages import language as language_of

# Changes whenever the same config would give another text or score.
CLEANING_VERSION = 1
# What one Arrow string can hold at most.
MOST_CHARACTERS = 2**31 - 1
# Shares of lines say something from so many lines on; below they are 0.
LEAST_LINES = 5
# A text with so large a share of digits may be a laboratory's table, which has neither sentences
# nor stops: the scores that look for these are null, and no rule on them holds.
TABLE_DIGIT_SHARE = 0.1
# Words of the commonest and of the repeated n-gram; in zh and ja characters, two for a word.
SPACED_NGRAMS, UNSPACED_NGRAMS = (2, 5), (4, 10)


class Cleaning:
    """Step: cleans every text, and drops those that fail a rule (``rules``).

    In this order: invisible characters go and line breaks become "\\n" (``characters``); lines of
    boilerplate and repeated ones go, runs of blank lines shrink (``lines``); what is left is
    measured; the first rule that it fails is the reason. A text that stays is not changed by
    cleaning it again. Scores: what the rules compare, ``removed_lines``. A text of more than
    ``maximum_characters`` is not cleaned further than its characters: it goes whatever its lines
    are, and would take 25 bytes of memory a byte; its other scores are null.
    """

    name = "cleaning"
    reasons = REASONS

    def __init__(self, config: CleaningConfig) -> None:
        self._config = config

    def __call__(self, texts: pa.StringArray, language: str) -> Judged:
        config = self._config
        readable, damaged = clean_characters(texts)
        characters = pc.utf8_length(readable)
        most = config.maximum_characters
        long = pc.greater(characters, MOST_CHARACTERS if most is None else most)
        cleaned = clean_lines(
            pc.if_else(long, "", readable),
            language,
            config.boilerplate_columns,
            config.repeated_line_columns,
            config.blank_lines,
        )
        scores = {
            name: pc.if_else(long, pa.scalar(None, values.type), values)
            for name, values in _scores(cleaned, damaged, language).items()
        }
        cleaned_characters = pc.if_else(long, characters, pc.utf8_length(cleaned.texts))
        scores["cleaned_characters"] = cleaned_characters.cast(pa.int64())
        return Judged(cleaning_reasons(scores, language, config), scores, cleaned.texts)


def cleaning_fingerprint(language: str) -> str:
    """Return what decides beside the config: the rules' version and the list of phrases."""
    return f"{CLEANING_VERSION}/{phrases_fingerprint(language)}"


def _scores(cleaned: CleanedLines, damaged: Counts, language: str) -> dict[str, pa.Array]:
    """Return the columns of the table of decisions but ``cleaned_characters``."""
    counts = cleaned.counts.T
    visible, lines = counts[count.VISIBLE], counts[count.LINES]
    before = visible + counts[count.REMOVED]
    words = np.diff(cleaned.offsets)
    enough_lines = np.where(lines >= LEAST_LINES, lines, 0)
    ngrams = SPACED_NGRAMS if language_of(language).spaced else UNSPACED_NGRAMS
    commonest, _ = repetition(cleaned.words, cleaned.offsets, ngrams[0])
    _, repeated = repetition(cleaned.words, cleaned.offsets, ngrams[1])
    menu = np.where(lines >= LEAST_LINES, counts[count.MENU], 0)
    table = counts[count.DIGITS] >= TABLE_DIGIT_SHARE * np.maximum(visible, 1)
    return {
        "removed_lines": pa.array(counts[count.REMOVED_LINES], pa.int32()),
        "spam_phrases": pa.array(counts[count.SPAM_PHRASES], pa.int32()),
        "damaged_share": _share(damaged, before + damaged),
        "removed_share": _share(counts[count.REMOVED], before),
        "long_run_share": _share(counts[count.LONG], visible),
        "letter_share": _share(counts[count.LETTERS], visible),
        "digit_share": _share(counts[count.DIGITS], visible),
        "symbol_share": _share(counts[count.SYMBOLS], visible),
        "word_characters": _share(visible, counts[count.WORDS]),
        "menu_share": _share(menu, visible, table),
        "bullet_line_share": _share(counts[count.BULLET_LINES], enough_lines),
        "ellipsis_line_share": _share(counts[count.ELLIPSIS_LINES], enough_lines),
        "stop_word_share": _share(counts[count.STOP_WORDS], words, table),
        "commonest_ngram_share": pa.array(commonest, pa.float32()),
        "repeated_ngram_share": pa.array(repeated, pa.float32()),
    }


def _share(part: Counts, whole: Counts, absent: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Return part / whole as float32: 0 where there is no whole, null where ``absent``."""
    shares = np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
    return pa.array(shares.astype(np.float32), pa.float32(), mask=absent)
