"""The gate before a faster tokenizer engine: equal tokens on a sample of the corpus, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa

from medray.corpus.tokens.engines import (
    GIGATOKEN,
    HUGGING_FACE,
    GigatokenEngine,
    HuggingFaceEngine,
    TokenizerEngine,
)

NASTY = "nasty"

# Texts on which tokenizers have been found to differ, whatever the corpus; compared always.
NASTY_TEXTS = (
    "",
    " ",
    "  two  blanks , here   ",
    "\t\n \r\n\r\n\n\u00a0x\u3000y\u2028z",
    "e\u0301\u0302\u0308 cafe\u0301 n\u0303 И\u0306 Москва\u0301 か\u3099ハ\u309a",
    "[\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u0610-\u061a\u064b-\u0669\u093e-\u094f\u0b3e\u0bd7]",
    "👨‍👩‍👧‍👦 👩🏽‍⚕️ 🏳️‍🌈 🇫🇷🇯🇵 ❤️ 1️⃣ 🫨",
    "fever</s>cough <s> <pad> </s></s> <|endoftext|> <unk> [CLS]",
    "0123456789 1,000.5mg １２３ ٣٤٥ Ⅻ ½ ² 〇 一二三 𝟘 10⁻⁶",
    "患者，高血壓。2型糖尿病（T2DM）、投与量は5mg/日である。カタカナひらがな漢字ー々〆",
    "第１章　総則「薬事」・第２章…（以下略）。ＤＮＡ　ﾊﾝｶｸ ｶﾞ 𠮷野家 㐂",
    "don't DON'T I'll we'Ve l'été d’août aujourd'hui 'S 's",
    "a\u200bb\u200cc\u200dd\ufeffe\u00adf\u2060g\u202eh\u202c",
    "\x00\x01\x02\x1f\x7f\x80\x85\x9f\ue000\ufffd\uffff\U000e0001\U0010ffff",
    "\u088f a\u1acfb \u1c89 \ua7ce \U0001e6c0 \U000323b0 \U0001fae9",
    "नमस्ते สวัสดี שָׁלוֹם مُسْتَشْفًى 한국어 \u1112\u1161\u11ab",
    "ﬁ ﬂ Å \u212b ſ K ß ẞ İ ı ǅ",
    'https://example.org/a_b-c?d=1&e=%20#f  x@y.z  C:\\dir\\*.txt  {"k": [1,\t2]}',
    "é" * 300 + "的" * 300 + "ー" * 300 + " " * 300 + "!" * 300 + "\n" * 300 + "7" * 300,
)


@dataclass(frozen=True)
class GateResult:
    """What the gate found, for the artifact's results.

    ``compared``: number of texts by language, and of the built-in ones. ``refused``: why not the
    faster engine; None where it is taken, or was not asked for. It names places and token ids,
    never text.
    """

    engine: str
    compared: dict[str, int]
    refused: str | None

    def as_results(self) -> dict[str, Any]:
        """Return plain data with the chosen engine's version."""
        package = {HUGGING_FACE: "tokenizers", GIGATOKEN: "gigatoken"}[self.engine]
        return {
            "engine": self.engine,
            "engine_version": version(package),
            "texts_compared": self.compared,
            "refused": self.refused,
        }


def choose_engine(tokenizer: Any, samples: Mapping[str, Sequence[str]]) -> GateResult:
    """Return gigatoken where it is installed and gives the reference's tokens on every text.

    ``samples``: texts of this corpus by language; the built-in nasty texts are compared as well.
    Raises InputError for a tokenizer that no engine takes.
    """
    reference = HuggingFaceEngine(tokenizer)
    try:
        candidate = GigatokenEngine(tokenizer)
    except ImportError:
        return GateResult(HUGGING_FACE, {}, "gigatoken is not installed: pip install medray[fast]")
    except RuntimeError as error:
        told = " ".join(str(error).split("Location:")[0].split())
        return GateResult(HUGGING_FACE, {}, f"gigatoken does not take this tokenizer: {told}")
    compared = {}
    for name, texts in {**samples, NASTY: NASTY_TEXTS}.items():
        difference = first_difference(reference, candidate, texts)
        compared[name] = len(texts)
        if difference is not None:
            return GateResult(HUGGING_FACE, compared, f"gigatoken differs: {name}: {difference}")
    return GateResult(GIGATOKEN, compared, None)


def first_difference(
    reference: TokenizerEngine, candidate: TokenizerEngine, texts: Sequence[str]
) -> str | None:
    """Return where two engines part, without any text; None where all tokens are equal."""
    column = pa.array(texts, pa.string())
    wanted, found = reference.encode(column), candidate.encode(column)
    for number in range(len(texts)):
        mine = wanted.tokens[wanted.offsets[number] : wanted.offsets[number + 1]]
        other = found.tokens[found.offsets[number] : found.offsets[number + 1]]
        if np.array_equal(mine, other):
            continue
        shared = min(len(mine), len(other))
        place = int(np.argmin(np.append(mine[:shared] == other[:shared], False)))
        return (
            f"text {number}, token {place}: {other[place : place + 3].tolist()} where "
            f"{mine[place : place + 3].tolist()} stands"
        )
    return None
