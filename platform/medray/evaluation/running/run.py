"""A benchmark from its files to results: plan, ask, write the answers down, score them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medray.evaluation.benchmarks import catalogue
from medray.evaluation.benchmarks.declaration import Declaration
from medray.evaluation.benchmarks.item import Item
from medray.evaluation.prompts.fitting import Count
from medray.evaluation.running.answer_file import Answer, AnswerFile
from medray.evaluation.running.asking import OnDone, Sender, ask_all
from medray.evaluation.running.plan import Ask, first_items, plan
from medray.evaluation.running.settings import RunSettings
from medray.evaluation.scoring.predictions import read_predictions
from medray.evaluation.scoring.score import results_of, rows_of, score
from medray.storage.location import Location

# What of an answer `medray score` reads.
_PREDICTION_KEYS = ("id", "output", "likelihoods", "scored")


@dataclass(frozen=True)
class Files:
    """A benchmark's files in the folder of a run."""

    folder: Path
    name: str

    @property
    def answers(self) -> Path:
        """Every answer ever given, by key; what a run that goes on reads."""
        return self.folder / f"{self.name}.answers.jsonl"

    @property
    def predictions(self) -> Path:
        """One row an item, as `medray score` takes."""
        return self.folder / f"{self.name}.predictions.jsonl"

    @property
    def results(self) -> Path:
        return self.folder / f"{self.name}.results.json"

    @property
    def rows(self) -> Path:
        """Every item, what was read and whether it is right, to browse."""
        return self.folder / f"{self.name}.rows.jsonl"


def run_benchmark(
    declaration: Declaration,
    data_folder: Path,
    model_name: str,
    sender: Sender,
    settings: RunSettings,
    folder: Path,
    *,
    split: str | None = None,
    count: Count | None = None,
    on_done: OnDone = lambda done, total: None,
) -> dict[str, Any]:
    """Ask a benchmark's items and return its results; write ``Files`` below the folder.

    ``sender``: what asks, such as ``asking.endpoint``; ``model_name`` is part of the answers' keys.

    Asked again with the same settings, only what has no answer yet is asked. Results are
    ``score.results_of``'s, and ``run``: model, prompt, shots, way, refused, cut_off (answers that
    ended at the token limit), cut_prompts, prompt_tokens, completion_tokens, without_usage.
    Raises what ``plan`` and ``ask_all`` raise.
    """
    split = split or declaration.scored_split
    items = first_items(catalogue.items(declaration, data_folder, split), settings.limit)
    asks = plan(declaration, data_folder, items, settings, model_name, count)
    files = Files(folder, declaration.name)
    with AnswerFile(files.answers) as kept:
        answers = ask_all(asks, sender, kept, on_done)
    run = told_of_run(declaration, asks, answers, settings, model_name)
    results = write_results(declaration, split, items, answers, files) | {"run": run}
    _write_rows(files.results, [results])
    return results


def write_results(
    declaration: Declaration,
    split: str,
    items: Sequence[Item],
    answers: Sequence[Answer],
    files: Files,
) -> dict[str, Any]:
    """Write predictions and rows; return the scores."""
    chosen = [{k: a[k] for k in _PREDICTION_KEYS if k in a} for a in answers]
    _write_rows(files.predictions, chosen)
    predictions = read_predictions(Location.of(files.predictions), items)
    found = score(declaration, split, items, predictions)
    _write_rows(files.rows, list(rows_of(found)))
    return results_of(found)


def told_of_run(
    declaration: Declaration,
    asks: Sequence[Ask],
    answers: Sequence[Answer],
    settings: RunSettings,
    model_name: str,
) -> dict[str, Any]:
    """Return how the answers came about, and what of them is not what was wanted."""
    generated = [answer for answer in answers if answer.get("output") is not None]
    counted = [a for a in generated if a.get("completion_tokens") is not None]
    return {
        "model": model_name,
        "prompt": settings.prompt or declaration.prompt,
        "way": settings.way,
        "chat": settings.chat,
        "shots": settings.shots,
        "limit": settings.limit,
        "refused": sum("refused" in answer for answer in answers),
        "cut_off": sum(answer.get("finish_reason") == "length" for answer in generated),
        "cut_prompts": sum(
            ask.cut_characters > 0 or ask.shots < settings.shots for ask in asks if not ask.refused
        ),
        "prompt_tokens": sum(answer.get("prompt_tokens") or 0 for answer in counted),
        "completion_tokens": sum(answer["completion_tokens"] for answer in counted),
        "without_usage": len(generated) - len(counted),
    }


def _write_rows(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    partial.write_bytes("".join(lines).encode("utf-8", "backslashreplace"))
    partial.replace(file)
