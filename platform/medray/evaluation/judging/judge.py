"""Asking a model judge about answers, and what its verdicts and marks come to."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from medray.errors import InputError
from medray.evaluation.client import EndpointError, Reply, gather_in_order
from medray.evaluation.judging import pairwise
from medray.evaluation.judging.answer_log import AnswerLog, key_of
from medray.evaluation.judging.asking import Asker, OpenAsker
from medray.evaluation.judging.entries import Entry
from medray.evaluation.judging.marks import Mark, of_pairs
from medray.evaluation.judging.prices import PriceTable, usage
from medray.evaluation.judging.protocol import Protocol, scales
from medray.evaluation.judging.scores import read_scores
from medray.evaluation.judging.summaries import summarise
from medray.evaluation.judging.verdicts import Mode, read_verdict

ORDERS = ("model_first", "reference_first")
OnDone = Callable[[int, int], None]
# So many refusals before the first answer are no accident of the content: the endpoint does not
# know a setting of the request.
_FIRST_REFUSALS = 20


@dataclass(frozen=True)
class Question:
    """One request. ``order``: of a pairwise one; ``key``: the hash its answer is kept under."""

    item_id: str
    system: str
    order: str
    messages: Sequence[Mapping[str, str]]
    key: str


@dataclass(frozen=True)
class Asked:
    """Answers by key; ``new``: keys of those asked for now; ``refused``: key -> why."""

    replies: Mapping[str, Reply]
    new: frozenset[str]
    refused: Mapping[str, str]


@dataclass(frozen=True)
class Judgement:
    """``results``: figures as a plain dict; ``marks``; ``rows``: every answer and its reading."""

    results: dict[str, Any]
    marks: list[Mark]
    rows: list[dict[str, Any]]


def judge(
    entries: Sequence[Entry],
    protocol: Protocol,
    judge_name: str,
    open_asker: OpenAsker,
    log: AnswerLog,
    *,
    mode: Mode = "correct",
    settings: Mapping[str, Any] | None = None,
    prices: PriceTable | None = None,
    on_done: OnDone = lambda done, total: None,
    seed: int = 0,
) -> Judgement:
    """Have a model judge all entries; those that the log has an answer to are not asked again.

    Pairwise: the first system of the entries is the model, the second the reference; both orders
    are asked. Marks: every system's answers are marked. Temperature 0 and the protocol's
    max_tokens, where ``settings`` of the request do not say otherwise; None takes one out. A
    request that the endpoint refuses for what is in it (too long, filtered) counts as unparsed and
    as ``refused``; any other refusal is an EndpointError, and so is one of the first twenty
    requests all. What was answered before is kept. InputError for a protocol without a prompt, and
    for a pairwise one with other than two systems.

    ``results``: protocol, judge, systems, items, refused, cut_off (answers that ended at the token
    limit), rules (which rule read how many), usage ({all, this_run}: see ``prices.usage``), and
    ``pairwise`` (see ``pairwise.measure``) or ``summary`` (see ``summaries.summarise``) with
    ``unparsed`` by system and dimension.
    """
    _check(entries, protocol)
    assert protocol.prompt is not None
    usual = {"temperature": 0, "max_tokens": protocol.prompt.maximum_new_tokens}
    sent = {
        key: value for key, value in (usual | dict(settings or {})).items() if value is not None
    }
    questions = questions_of(entries, protocol, judge_name, sent)
    asked = asyncio.run(_ask(questions, sent, open_asker, log, on_done))
    read = _read_pairs if protocol.kind == "pairwise" else _read_marks
    judgement = read(entries, protocol, judge_name, questions, asked, mode, seed)
    replies = {q.key: asked.replies[q.key] for q in questions if q.key in asked.replies}
    new = [reply for key, reply in replies.items() if key in asked.new]
    about = {
        "protocol": protocol.name,
        "kind": protocol.kind,
        "judge": judge_name,
        "mode": mode,
        "systems": list(entries[0].answers),
        "items": len(entries),
        "refused": sum(question.key in asked.refused for question in questions),
        "cut_off": sum(reply.finish_reason == "length" for reply in replies.values()),
        "rules": dict(Counter(_rules(judgement.rows)).most_common()),
        "usage": {
            "all": usage(replies.values(), judge_name, prices),
            "this_run": usage(new, judge_name, prices),
        },
    }
    return Judgement(about | judgement.results, judgement.marks, judgement.rows)


def _check(entries: Sequence[Entry], protocol: Protocol) -> None:
    if protocol.prompt is None:
        raise InputError(
            f"--protocol: {protocol.name} has no prompt, it is for people; make sheets, or give "
            "a YAML file with a prompt"
        )
    systems = list(entries[0].answers)
    if protocol.kind == "pairwise" and len(systems) != 2:
        raise InputError(
            f"--protocol: {protocol.name} compares two systems; given: {', '.join(systems)}"
        )


def questions_of(
    entries: Sequence[Entry], protocol: Protocol, judge_name: str, settings: Mapping[str, Any]
) -> list[Question]:
    """Return every request of a run: two an item (pairwise), or one a system and item."""
    questions = []
    for entry in entries:
        for system, order, texts in _texts(entry, protocol):
            assert protocol.prompt is not None
            messages = protocol.prompt.messages(texts)
            key = key_of(judge_name, messages, settings)
            questions.append(Question(entry.item_id, system, order, messages, key))
    return questions


def _texts(entry: Entry, protocol: Protocol) -> list[tuple[str, str, dict[str, str]]]:
    shared = {"question": entry.question, "reference": entry.reference}
    if protocol.kind != "pairwise":
        return [(name, "", shared | {"answer": text}) for name, text in entry.answers.items()]
    (model, ours), (_, theirs) = entry.answers.items()
    return [
        (model, ORDERS[0], shared | {"first": ours, "second": theirs}),
        (model, ORDERS[1], shared | {"first": theirs, "second": ours}),
    ]


async def _ask(
    questions: Sequence[Question],
    settings: Mapping[str, Any],
    open_asker: OpenAsker,
    log: AnswerLog,
    on_done: OnDone,
) -> Asked:
    # Two items may be asked in the same words; one request answers both.
    pending = {q.key: q for q in questions if q.key not in log.replies}
    # Of a run that goes on, what is left may well be what was refused before.
    resumed = len(pending) < len({q.key for q in questions})
    patience = len(pending) + 1 if resumed else min(_FIRST_REFUSALS, len(pending))
    refused: dict[str, str] = {}
    new: set[str] = set()

    async def ask_one(asker: Asker, question: Question) -> None:
        try:
            reply = await asker.chat(question.messages, settings)
        except EndpointError as error:
            if not error.of_content:
                raise
            refused[question.key] = str(error)
            if not new and len(refused) >= patience:
                raise
            return
        about = {"item_id": question.item_id, "system": question.system, "order": question.order}
        log.keep(question.key, reply, about)
        new.add(question.key)

    if pending:
        async with open_asker() as asker:
            calls = [partial(ask_one, asker, question) for question in pending.values()]
            await gather_in_order(calls, on_done)
    return Asked(log.replies, frozenset(new), refused)


def _row(question: Question, asked: Asked) -> dict[str, Any]:
    reply = asked.replies.get(question.key)
    return {
        "item_id": question.item_id,
        "system": question.system,
        "order": question.order,
        "text": reply.text if reply else "",
        "finish_reason": reply.finish_reason if reply else "",
        "refused": asked.refused.get(question.key),
    }


def _rules(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        rule
        for row in rows
        for rule in ([row["rule"]] if isinstance(row["rule"], str) else row["rule"].values())
    ]


def _read_pairs(
    entries: Sequence[Entry],
    protocol: Protocol,
    judge_name: str,
    questions: Sequence[Question],
    asked: Asked,
    mode: Mode,
    seed: int,
) -> Judgement:
    rows, found = [], {}
    for question in questions:
        row = _row(question, asked)
        verdict = read_verdict(row["text"], mode)
        seen = pairwise.outcome(verdict.choice, model_first=question.order == ORDERS[0])
        found[question.item_id, question.order] = seen
        rows.append(row | {"outcome": seen, "rule": verdict.rule})
    pairs = [
        pairwise.Pair(entry.item_id, *(found[entry.item_id, order] for order in ORDERS))
        for entry in entries
    ]
    model, reference = entries[0].answers
    results = {"model": model, "reference": reference, "pairwise": pairwise.measure(pairs, seed)}
    return Judgement(results, of_pairs(pairs, judge_name, protocol.name, model), rows)


def _read_marks(
    entries: Sequence[Entry],
    protocol: Protocol,
    judge_name: str,
    questions: Sequence[Question],
    asked: Asked,
    mode: Mode,
    seed: int,
) -> Judgement:
    rows, marks = [], []
    systems = list(entries[0].answers)
    dimensions = scales(protocol, len(systems))
    unparsed = {name: {dimension.name: 0 for dimension in dimensions} for name in systems}
    for question in questions:
        row = _row(question, asked)
        scores = read_scores(row["text"], dimensions)
        for name, value in scores.values.items():
            if value is None:
                unparsed[question.system][name] += 1
            else:
                marks.append(
                    Mark(
                        judge_name, "model", protocol.name, question.item_id, question.system,
                        name, value,
                    )
                )  # fmt: skip
        rows.append(row | {"marks": dict(scores.values), "rule": dict(scores.rules)})
    summary = summarise(marks, dimensions, systems, seed)
    return Judgement({"summary": summary, "unparsed": unparsed}, marks, rows)
