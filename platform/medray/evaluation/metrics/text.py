"""Every text metric by its name, counted right or as the papers' released scripts count it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from medray.errors import InputError
from medray.languages import LANGUAGES
from medray.recipe import nearest

Mode = Literal["correct", "as-published"]
MODES: tuple[Mode, ...] = get_args(Mode)
NAMES = (
    "bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_1", "rouge_2", "rouge_l",
    "exact_match", "token_f1",
)  # fmt: skip


def text_scores(
    predictions: Sequence[str],
    references: Sequence[str | Sequence[str]],
    languages: Sequence[str],
    names: Sequence[str] = NAMES,
    mode: Mode = "correct",
) -> dict[str, list[float]]:
    """Return each item's value in 0..1 of every metric of ``names``.

    An item is a prediction, its reference or references, and its language's code. Of several
    references the best one counts; BLEU takes from all of them, as ``overlap.bleu`` says. Modes:

    - ``correct``: sacrebleu's sentence BLEU, rouge_score's F1s, SQuAD's exact match and token F1,
      over ``tokens.metric_tokens`` and ``tokens.answer_tokens``;
    - ``as-published``: see ``published``, and ``published.DIFFERENCES`` for why they differ.

    ``InputError`` for a name, mode or language that there is not; ``ValueError`` where lengths
    differ or an item has no reference.
    """
    _check(names, mode, languages)
    listed = [[texts] if isinstance(texts, str) else list(texts) for texts in references]
    if not len(predictions) == len(listed) == len(languages):
        raise ValueError(
            f"{len(predictions)} predictions, {len(listed)} items of references and "
            f"{len(languages)} languages: their numbers must be equal"
        )
    if not all(listed):
        raise ValueError(f"item {listed.index([])} has no reference")
    # Imported here: compiled loops take half a second to load, and most commands score no text.
    from medray.evaluation.metrics import overlap, published

    texts = overlap.Texts if mode == "correct" else published.PublishedTexts
    columns = texts(predictions, listed, languages).columns()
    return {name: columns[name]().tolist() for name in names}


def _check(names: Sequence[str], mode: str, languages: Sequence[str]) -> None:
    for name in names:
        if name not in NAMES:
            raise InputError(f"no text metric {name!r}{nearest(name, NAMES)}")
    if mode not in MODES:
        raise InputError(f"no mode {mode!r}{nearest(mode, MODES)}")
    for code in dict.fromkeys(languages):
        if code not in LANGUAGES:
            raise InputError(f"no language {code!r}; there are {', '.join(LANGUAGES)}")
