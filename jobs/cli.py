"""The command line: `medray VERB ...`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from jobs import ask, curate, score, serve
from jobs.command import EXIT_DONE, run_command
from jobs.registry import JOBS
from jobs.report import publish
from jobs.status import status
from medray.errors import InputError
from medray.pipeline import Run
from medray.progress import Reporter
from medray.recipe import Recipe, load_recipe, read_yaml
from medray.runtime import RayRuntime
from medray.storage.location import Location

RECIPES = Path(__file__).parent / "recipes"
SAMPLES = Path(__file__).parent / "samples"
# Verbs that run one kind of stage of a recipe, with the earlier stages it refers to.
JOB_VERBS = {
    "ocr": "read scanned and digital pages",
    "curate": "filter documents, train the tokenizer, cut token windows",
    "model": "take a model from elsewhere, merge, add tokens, quantise",
    "pretrain": "train a model on a corpus",
    "finetune": "adapt a model to questions and instructions",
    "sweep": "search learning rates and LoRA ranks",
    "benchmark": "serve a model and measure it on exams",
    "report": "write the HTML page and results.json",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0 done, 1 failed, 2 the input or configuration is wrong."""
    options = build_parser().parse_args(arguments)
    return run_command(partial(options.command, options), debug=options.debug)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    parser = argparse.ArgumentParser(
        prog="medray", description="Build, serve and benchmark medical language models on Ray."
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    common.add_argument("--json", action="store_true", help="log one JSON object a line")

    recipe = argparse.ArgumentParser(add_help=False, parents=[common])
    recipe.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
        help="override a key: pretrain.training.steps=500; @FILE: every key of a YAML file "
        "(@real: the built-in one for real data); repeatable",
    )  # fmt: skip
    recipe.add_argument(
        "--variable", action="append", default=[], metavar="NAME=VALUE", dest="variables",
        help="what ${NAME} in file patterns stands for (repeatable)",
    )  # fmt: skip
    recipe.add_argument("--workspace", help="where artifacts lie (default runs/RECIPE)")

    running = argparse.ArgumentParser(add_help=False, parents=[recipe])
    running.add_argument("--address", help="Ray cluster to join (default: a local Ray of its own)")
    running.add_argument("--cpus", type=int, help="logical CPUs of the local Ray")

    verb = verbs.add_parser("run", parents=[running], help="run a recipe")
    _add_recipe(verb)
    verb.set_defaults(command=_run, only_job=None)
    verb = verbs.add_parser("submit", parents=[recipe], help="run a recipe as a cluster's job")
    _add_recipe(verb)
    verb.add_argument("--address", required=True, help="the cluster's dashboard: http://host:8265")
    verb.set_defaults(command=_submit)
    verb = verbs.add_parser("status", parents=[common], help="tell what a workspace holds")
    verb.add_argument("workspace")
    verb.set_defaults(command=_status)
    verb = verbs.add_parser(
        "serve", parents=[common], help="serve a model over HTTP, or make a key"
    )
    serve.add_serve_arguments(verb)
    verb.set_defaults(command=serve.answer)
    verb = verbs.add_parser(
        "score", parents=[common], help="score a file of answers on a benchmark, with no model"
    )
    score.add_score_arguments(verb)
    verb.set_defaults(command=score.answer)
    for job, text in JOB_VERBS.items():
        verb = verbs.add_parser(job, parents=[running], help=f"{text}: that part of a recipe")
        verb.set_defaults(command=_run, only_job=job)
        if job == "curate":
            curate.add_curate_arguments(verb)
        _add_recipe(verb, optional=job == "benchmark")
        if job == "benchmark":
            verb.add_argument("--list", action="store_true", help="list the declared benchmarks")
            score.add_data_argument(verb)
            ask.add_ask_arguments(verb)
    return parser


def _add_recipe(verb: argparse.ArgumentParser, optional: bool = False) -> None:
    """Add the recipe; of `benchmark`, where it may also be benchmarks, or nothing, a list."""
    verb.add_argument(
        "recipe", nargs="*" if optional else None,
        help="a recipe's name (quickstart) or the path of its YAML file",
    )  # fmt: skip


def _load(options: argparse.Namespace) -> Recipe:
    configs = {name: job.config for name, job in JOBS.items()}
    return load_recipe(recipe_path(options.recipe), expand_overrides(options.overrides), configs)


def expand_overrides(overrides: Sequence[str]) -> list[str]:
    """Replace each @FILE by the overrides that the YAML file holds, as key=JSON."""
    expanded = []
    for override in overrides:
        if not override.startswith("@"):
            expanded.append(override)
            continue
        path = RECIPES / f"{override[1:]}.overrides.yaml"
        for key, value in read_yaml(path if path.is_file() else Path(override[1:])).items():
            expanded.append(f"{key}={json.dumps(value, ensure_ascii=False)}")
    return expanded


def _variables(options: argparse.Namespace) -> dict[str, str]:
    """Return what ${NAME} stands for; a local path is made absolute, for workers run elsewhere."""
    variables = {"samples": str(SAMPLES)}
    for pair in options.variables:
        name, separator, value = pair.partition("=")
        if not separator or not name.isidentifier():
            raise InputError(f"--variable {pair}: write it as name=value")
        variables[name] = value if "://" in value else str(Path(value).expanduser().absolute())
    return variables


def _run(options: argparse.Namespace) -> int:
    """Run a recipe, or those of its stages that have one job."""
    if options.only_job == "benchmark":
        if options.list:
            return score.list_benchmarks(options)
        if options.endpoint is not None or options.engine is not None:
            return ask.answer(options)
        if len(options.recipe) != 1:
            raise InputError(
                "benchmark: name one recipe, or benchmarks with --endpoint or --engine; "
                "--list names them"
            )
        [options.recipe] = options.recipe
    recipe = _load(options)
    only = None
    if options.only_job is not None:
        only = [name for name, stage in recipe.stages.items() if stage.job == options.only_job]
        if not only:
            raise InputError(f"{options.recipe}: no stage has the job {options.only_job}")
    run = _prepared(options, recipe)
    workspace = run.workspace
    if options.only_job == "curate" and curate.answer(options, run):
        return EXIT_DONE
    try:
        outcomes = run.execute(only)
    finally:
        run.ray.shutdown()
    summary: dict[str, Any] = {"workspace": str(workspace)}
    summary["stages"] = {outcome.stage: outcome.outcome for outcome in outcomes}
    for outcome in outcomes:
        if outcome.artifact.manifest.kind == "report":
            summary |= publish(outcome.artifact, workspace)
    print(json.dumps(summary))
    return EXIT_DONE


def _prepared(options: argparse.Namespace, recipe: Recipe) -> Run:
    """Return the run that the options describe."""
    workspace = Location.of(options.workspace or Path("runs") / recipe.name)
    ray = RayRuntime(options.address, options.cpus)
    reporter = Reporter.for_stream(options.json)
    return Run(recipe, JOBS, workspace, _variables(options), ray, reporter)


def _submit(options: argparse.Namespace) -> int:
    """Check the recipe here, then run it as a job of a cluster."""
    from jobs.submit import submit

    recipe = _load(options)
    workspace = options.workspace or f"runs/{recipe.name}"
    path = recipe_path(options.recipe)
    variables = [f"{k}={v}" for k, v in _variables(options).items() if k != "samples"]
    overrides = expand_overrides(options.overrides)
    return submit(path, overrides, variables, workspace, options.address, options.debug)


def _status(options: argparse.Namespace) -> int:
    """Print one line a stage: done, or unfinished (running, or broken off)."""
    stages = status(Location.of(options.workspace))
    if options.json:
        print(json.dumps(stages))
    else:
        for name, stage in stages.items():
            told = " ".join(f"{key}={value}" for key, value in stage.items() if key != "state")
            print(f"{name:>12}  {stage['state']:<10} {told}")
    return EXIT_DONE


def recipe_path(name: str) -> Path:
    """Return the file of a built-in recipe's name, or the path itself."""
    if Path(name).suffix in (".yaml", ".yml"):
        return Path(name)
    path = RECIPES / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in RECIPES.glob("*.yaml") if "." not in p.stem))
        raise InputError(f"no recipe {name}: the built-in ones are {known}; a path ends in .yaml")
    return path


if __name__ == "__main__":
    sys.exit(main())
