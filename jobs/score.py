"""`medray score`: an answer file against a benchmark, with no model; and the list of benchmarks."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.command import EXIT_DONE
from medray.errors import InputError
from medray.evaluation.benchmarks import catalogue
from medray.storage.location import Location

if TYPE_CHECKING:
    from medray.evaluation.benchmarks.declaration import Declaration
    from medray.evaluation.metrics.text import Mode
    from medray.evaluation.scoring.score import Score

DATA_VARIABLE = "MEDRAY_BENCHMARK_DATA"
DEFAULT_DATA = Path("benchmarks")
MODES = ("correct", "as-published", "both")


def add_data_argument(verb: argparse.ArgumentParser) -> None:
    """Add where the benchmarks' files lie."""
    verb.add_argument(
        "--data", type=Path,
        help=f"folder of the benchmarks' files (default ${DATA_VARIABLE}, else ./{DEFAULT_DATA})",
    )  # fmt: skip


def add_score_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what `medray score` takes."""
    verb.add_argument(
        "--benchmark", required=True, metavar="NAME",
        help="a name of `medray benchmark --list`, or a YAML file that declares one",
    )  # fmt: skip
    verb.add_argument(
        "--predictions", required=True, metavar="FILE",
        help='answers, JSON Lines of {"id": ..., "output": ...}',
    )  # fmt: skip
    add_data_argument(verb)
    verb.add_argument("--split", help="default: the one that is scored, mostly test")
    verb.add_argument(
        "--mode", choices=MODES, default="correct",
        help="as-published: as the benchmark's released script counts, defects included",
    )  # fmt: skip
    verb.add_argument(
        "--only-answered",
        action="store_true",
        help="leave out items without an answer (default: they count as wrong)",
    )
    verb.add_argument(
        "--compare", metavar="FILE", help="another model's answers: difference, interval, p value"
    )
    verb.add_argument(
        "--rows", metavar="FILE", help="write every item, its answer and how it was read, as JSONL"
    )
    verb.add_argument(
        "--encoder", type=Path, help="folder of an encoder: BERTScore beside the text metrics"
    )


def answer(options: argparse.Namespace) -> int:
    """Score the answers, print the results; return the exit status."""
    # Imported here: numba and scipy take seconds, and other verbs need neither.
    from medray.evaluation.metrics.bertscore import BertScorer
    from medray.evaluation.scoring.predictions import read_predictions
    from medray.evaluation.scoring.score import score

    declaration = catalogue.load(options.benchmark)
    split = options.split or declaration.scored_split
    items = catalogue.items(declaration, data_folder(options.data), split)
    scorer = BertScorer.load(options.encoder) if options.encoder else None
    files = [Location.of(options.predictions)]
    files += [Location.of(options.compare)] if options.compare else []
    predictions = [read_predictions(file, items) for file in files]
    modes: list[Mode] = ["correct", "as-published"] if options.mode == "both" else [options.mode]
    told = []
    for mode in modes:
        scores = [
            score(
                declaration, split, items, mine,
                mode=mode, only_answered=options.only_answered, scorer=scorer,
            )
            for mine in predictions
        ]  # fmt: skip
        told.append(_results(scores, str(files[-1])))
        if options.rows and mode == modes[0]:
            _write_rows(scores[0], Location.of(options.rows))
    print(_as_json(told) if options.json else _as_text(told))
    return EXIT_DONE


def data_folder(given: Path | None) -> Path:
    """Return where the benchmarks' files lie; InputError where there is no such folder."""
    folder = given or Path(os.environ.get(DATA_VARIABLE) or DEFAULT_DATA)
    if not folder.is_dir():
        raise InputError(
            f"--data: no folder {folder}; give the one that holds the benchmarks' files "
            f"(or set {DATA_VARIABLE})"
        )
    return folder


def _results(scores: list[Score], other: str) -> dict[str, Any]:
    from medray.evaluation.scoring.score import compare_scores, results_of

    results = results_of(scores[0])
    if len(scores) > 1:
        results["compared_with"] = {"predictions": other, **compare_scores(*scores)}
    return results


def _write_rows(score: Score, file: Location) -> None:
    from medray.evaluation.scoring.score import rows_of

    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows_of(score)]
    file.write_bytes("".join(lines).encode())


def _as_json(told: list[dict[str, Any]]) -> str:
    whole = told[0] if len(told) == 1 else {results["mode"]: results for results in told}
    return json.dumps(whole, ensure_ascii=False)


def _as_text(told: list[dict[str, Any]]) -> str:
    from medray.evaluation.scoring.table import comparison_lines, lines_of

    lines: list[str] = []
    for results in told:
        lines += ["", *lines_of(results)] if lines else lines_of(results)
        if "compared_with" in results:
            compared = dict(results["compared_with"])
            lines += ["", *comparison_lines(compared, compared.pop("predictions"))]
    return "\n".join(lines)


def list_benchmarks(options: argparse.Namespace) -> int:
    """Print every declared benchmark; with data, whether its files are there."""
    folder = options.data or Path(os.environ.get(DATA_VARIABLE) or DEFAULT_DATA)
    rows = [
        _listed(catalogue.load(name), folder if folder.is_dir() else None)
        for names in catalogue.families().values()
        for name in names
    ]
    print(json.dumps(rows, ensure_ascii=False) if options.json else "\n".join(_list_lines(rows)))
    return EXIT_DONE


def _listed(declaration: Declaration, folder: Path | None) -> dict[str, Any]:
    there = catalogue.availability(declaration, folder)
    return {
        "name": declaration.name,
        "title": declaration.title,
        "family": declaration.family,
        "category": declaration.category,
        "languages": declaration.languages,
        "form": declaration.form,
        "metrics": list(declaration.metrics),
        "licence": declaration.licence,
        "restricted": declaration.restricted,
        "ready": there.ready,
        "obtain": there.obtain,
    }


def _list_lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    family = ""
    yield f"{'':2}{'name':32}{'languages':20}{'form':10}{'metrics':32}title"
    for row in rows:
        if row["family"] != family:
            family = row["family"]
            yield family.replace("_", " ")
        mark = "+ " if row["ready"] else "  "
        languages, metrics = " ".join(row["languages"]), " ".join(row["metrics"])
        yield f"{mark}{row['name']:32}{languages:20}{row['form']:10}{metrics:32}{row['title']}"
    ready = sum(row["ready"] for row in rows)
    yield f"{len(rows)} benchmarks; + its data is there ({ready}); --json tells how to get others"
