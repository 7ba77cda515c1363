"""How released scripts read answers, defects included: to compare with the numbers they gave.

Each function names its script and what is wrong with it. ``medray score --mode as-published``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_MIRAGE = [
    re.compile(pattern)
    for pattern in (
        r"^([A-D])$", r"^([A-D]) or", r"^([A-D]) and", r"^([A-D])/", r"^([A-D]),",
        r"[Oo]ption ([A-D])", r": ([A-D])", r"^([A-D])\.", r"^([A-D])\"", r"^([A-D]):",
    )
]  # fmt: skip


def mirage(outputs: Sequence[str]) -> list[str]:
    """Return the letters that MIRAGE's script reads, one an output.

    An answer in which it finds no letter is taken for A: of GPT-3.5's 1,273, 20 were, and 4 of
    them scored. An empty output is given the text of the one before it, a stale variable of the
    script that made the published table.
    """
    letters = []
    text = ""
    for output in outputs:
        if output:
            text = output.rpartition('"answer_choice": "')[2].strip()
        found = (match[1] for pattern in _MIRAGE if (match := pattern.search(text)))
        letters.append(next(found, "A"))
    return letters


def igakuqa(output: str) -> tuple[str, ...]:
    """Return IgakuQA's letters: what stands between commas, as it is; "a, c" is then never right.

    Of ChatGPT's 2,000 answers 15 lose by the blank.
    """
    return tuple(sorted(output.split(",")))


def mmedlm(output: str) -> tuple[str, ...]:
    """Return MMedLM's letters: what is left of "###Answer: OPTION A,B IS CORRECT.</s>".

    Another wording of the same answer is wrong.
    """
    text = output.replace("###Answer: OPTION ", "").replace("IS CORRECT.</s>", "")
    return tuple(sorted(part.strip() for part in text.strip().split(",")))


def meds_bench_choice(output: str, letters: str = "abcd") -> str:
    """Return MedS-Bench's letter: the first character, where it is one of ``letters``.

    E, several letters, and PubMedQA's maybe (``letters`` "yn") can never be right.
    """
    first = output.lower().replace("the right answer is", "").strip()[:1]
    return first if first and first in letters else ""


def meds_bench_label(output: str, gold: str) -> bool:
    """Say whether MedS-Bench takes an answer for right: the gold text stands in it somewhere.

    An answer that lists every label is always right.
    """
    return gold.lower() in output.lower()


def meds_bench_true_false(output: str) -> str:
    """Return MedS-Bench's True or False: the one whose word alone stands in the answer, else "".

    "Not true" is True.
    """
    said = output.lower()
    named = [word for word in ("True", "False") if word.lower() in said]
    return named[0] if len(named) == 1 else ""
