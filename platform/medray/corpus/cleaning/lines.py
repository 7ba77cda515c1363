"""Taking boilerplate and repeated lines out of texts, and measuring what is left, in one pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from medray.corpus.cleaning.characters import Counts, character_flags, strings
from medray.corpus.cleaning.line_kernels import split_lines, take_lines_out
from medray.corpus.cleaning.phrases import phrase_table
from medray.corpus.dedup.words import Hashes, Offsets, hash_words, utf8_of


@dataclass(frozen=True)
class CleanedLines:
    """Texts without the lines that went; ``counts``: texts x TEXT_COUNTS, see ``line_kernels``.

    ``words``, ``offsets``: the hashes of the words that are left, as ``hash_words`` returns them.
    """

    texts: pa.StringArray
    counts: Counts
    words: Hashes
    offsets: Offsets


def clean_lines(
    texts: pa.StringArray,
    language: str,
    boilerplate_columns: int,
    repeated_columns: int,
    blank_lines: int,
) -> CleanedLines:
    """Take lines out of texts whose line breaks are all "\\n".

    Out go: lines of [line] entries only and those that begin with ©; lines with a [phrase] and at
    most ``boilerplate_columns`` columns (0: no boilerplate goes); lines of ``repeated_columns``
    or more that the text had before (0: none goes); blank lines at the text's ends, and in a row
    beyond ``blank_lines``. The order does not matter, and a second time nothing is found.
    """
    data, starts = utf8_of(texts)
    line_starts, first_lines = split_lines(data, starts)
    words, word_starts = hash_words(strings(data, line_starts), language)
    table = phrase_table(language)
    spam_seen = np.full(table.spam_phrases, -1, np.int64)
    out, out_offsets, counts, offsets = take_lines_out(
        (data, line_starts, first_lines, character_flags()),
        (words, word_starts),
        (table.keys, table.values, spam_seen),
        (boilerplate_columns, repeated_columns, blank_lines),
    )
    return CleanedLines(strings(out, out_offsets), counts, words[: offsets[-1]], offsets)
