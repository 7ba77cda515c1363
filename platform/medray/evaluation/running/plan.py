"""Items to requests: what is sent for each, and the key that its answer is kept under."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medray.errors import InputError
from medray.evaluation.benchmarks.declaration import Declaration
from medray.evaluation.benchmarks.item import Item
from medray.evaluation.prompts import mmedlm
from medray.evaluation.prompts.fitting import Count, Fitted, PromptTooLongError, Render, fit
from medray.evaluation.prompts.frames import Rendered, Scored, load_form
from medray.evaluation.prompts.shots import draw_shots
from medray.evaluation.running.settings import ANSWER_TOKENS, RunSettings


@dataclass(frozen=True)
class Ask:
    """What is asked about one item.

    ``generate``: the prompt that is to be answered, or None. ``score``: the prompt that
    ``continuations`` (option -> text) may follow, or None. ``settings``: what a request of
    generation carries. ``refused``: why the item cannot be asked; then both prompts are None.
    ``key``: a hash of all that. ``cut_characters``, ``shots``: what is left of the prompt.
    """

    item_id: str
    key: str
    generate: Rendered | None = None
    score: Rendered | None = None
    continuations: Mapping[str, str] = field(default_factory=dict)
    scored: Scored = "letters"
    settings: Mapping[str, Any] = field(default_factory=dict)
    refused: str = ""
    shots: int = 0
    cut_characters: int = 0


@dataclass(frozen=True)
class Words:
    """A form's prompts: of an answer, of options, and what may follow the second."""

    generate: Callable[[Item, Sequence[Item], str], Rendered]
    score: Callable[[Item, Sequence[Item], str], Rendered]
    continuations: Callable[[Item], Mapping[str, str]]
    scored: Scored


def first_items(items: Sequence[Item], limit: int | None) -> list[Item]:
    """Return the first so many items of each language; all without a limit."""
    if limit is None:
        return list(items)
    seen: dict[str, int] = {}
    kept = []
    for item in items:
        seen[item.language] = seen.get(item.language, 0) + 1
        if seen[item.language] <= limit:
            kept.append(item)
    return kept


def plan(
    declaration: Declaration,
    data_folder: Path,
    items: Sequence[Item],
    settings: RunSettings,
    model_name: str,
    count: Count | None = None,
) -> list[Ask]:
    """Return what to ask about each item, in order.

    ``count``: tokens of a text; wanted where ``maximum_prompt_tokens`` is set. ``InputError`` for a
    form that cannot ask these items, for shots that cannot be had, for likelihoods of items without
    options, and for a limit without a tokenizer.
    """
    if settings.maximum_prompt_tokens is not None and count is None:
        raise InputError("maximum_prompt_tokens: wants a tokenizer to count with; name its folder")
    if settings.way == "likelihood" and not any(item.options for item in items):
        raise InputError(f"{declaration.name}: its items have no options to take likelihoods of")
    words = words_of(settings.prompt or declaration.prompt, settings.rationale)
    shots = draw_shots(declaration, data_folder, items, settings.shots, settings.seed)
    return [
        ask_of(item, words, settings, model_name, shots[item.language], count) for item in items
    ]


def words_of(name: str, rationale: bool = True) -> Words:
    """Return a form's prompts by its name; InputError where there is none."""
    if name == mmedlm.NAME:
        return Words(
            lambda item, shots, _: mmedlm.render(item, shots, rationale=rationale, header=False),
            lambda item, shots, _: mmedlm.render(item, shots, rationale=False, header=True),
            lambda item: {letter: f" {letter}" for letter in item.options},
            "letters",
        )
    form = load_form(name)
    return Words(form.render, form.render, form.continuations, form.scored)


def ask_of(
    item: Item,
    words: Words,
    settings: RunSettings,
    model_name: str,
    shots: Sequence[Item] = (),
    count: Count | None = None,
) -> Ask:
    """Return what to ask about one item; ``refused`` where its prompt is too long."""
    request = _request(item, settings)
    limit = settings.maximum_prompt_tokens
    likelihood = settings.way != "generated" and bool(item.options)
    generated = settings.way != "likelihood"

    def fitted(render: Callable[[Item, Sequence[Item], str], Rendered]) -> Fitted:
        of_item: Render = lambda shown, context: render(item, shown, context)  # noqa: E731
        if limit is None or count is None:
            return Fitted(of_item(shots, item.context), len(shots), 0)
        return fit(item, shots, of_item, limit, count)

    try:
        answer = fitted(words.generate) if generated else None
        option = fitted(words.score) if likelihood else None
    except PromptTooLongError as error:
        return Ask(item.item_id, _key(model_name, str(error), item), refused=str(error))
    continuations = words.continuations(item) if likelihood else {}
    told = answer or option
    prompts = [part.prompt.messages() if part else None for part in (answer, option)]
    return Ask(
        item.item_id,
        _key(model_name, settings.chat, prompts, dict(continuations), request),
        answer.prompt if answer else None,
        option.prompt if option else None,
        continuations,
        words.scored,
        request,
        "" if told else "no options to take likelihoods of",
        told.shots if told else 0,
        told.cut_characters if told else 0,
    )


def _request(item: Item, settings: RunSettings) -> dict[str, Any]:
    """Return what a request of generation carries beside the prompt."""
    longest = settings.maximum_new_tokens or ANSWER_TOKENS[item.form]
    request: dict[str, Any] = {"max_tokens": longest, "temperature": settings.temperature}
    if settings.temperature > 0:
        request["seed"] = settings.seed
    return request | ({"stop": list(settings.stop)} if settings.stop else {})


def _key(*asked: Any) -> str:
    text = json.dumps(asked, ensure_ascii=False, sort_keys=True, default=vars)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]
