"""`medray benchmark NAME ...`: declared benchmarks against an endpoint or a model's replicas."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.command import EXIT_DONE
from jobs.score import data_folder
from medray.errors import InputError
from medray.evaluation.benchmarks import catalogue
from medray.progress import Reporter, StageLog
from medray.recipe import check_config

if TYPE_CHECKING:
    from medray.evaluation.prompts.fitting import Count
    from medray.evaluation.running.asking import Sender
    from medray.evaluation.running.settings import RunSettings

DEFAULT_FOLDER = Path("runs/benchmarks")
# Options of the command line that are keys of RunSettings.
_SETTINGS = (
    "prompt", "way", "shots", "seed", "limit", "chat", "maximum_new_tokens",
    "maximum_prompt_tokens", "concurrency", "timeout_s",
)  # fmt: skip
# The request or the address is wrong, not the moment.
REFUSED_STATUS = (400, 401, 403, 404, 405, 413, 422)
_LIMITS = ("requests_per_minute", "tokens_per_minute", "maximum_tokens")


def add_ask_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what asking an endpoint takes."""
    asking = verb.add_argument_group(
        "asking", "with --endpoint or --engine, declared benchmarks or families are named"
    )
    asking.add_argument("--endpoint", metavar="URL", help="its base: http://127.0.0.1:8000/v1")
    asking.add_argument("--model", metavar="NAME", help="the model that requests name")
    asking.add_argument(
        "--engine", type=Path, metavar="DIR",
        help="in place of an endpoint: a model's folder, run by replicas over Ray Data",
    )  # fmt: skip
    asking.add_argument("--adapter", type=Path, help="with --engine: a LoRA's or prefix's folder")
    asking.add_argument("--replicas", type=int, default=1, help="with --engine (default 1)")
    asking.add_argument("--gpus", type=float, default=0.0, help="with --engine: of a replica")
    asking.add_argument(
        "--key-environment", default="MEDRAY_API_KEY", metavar="NAME",
        help="the environment variable that holds the API key (default MEDRAY_API_KEY)",
    )  # fmt: skip
    asking.add_argument("--out", type=Path, help=f"folder of answers (default {DEFAULT_FOLDER})")
    asking.add_argument("--split", help="default: the one that is scored, mostly test")
    asking.add_argument("--prompt", help="a prompt form's name or file (default: the benchmark's)")
    asking.add_argument("--way", choices=["generated", "likelihood", "both"])
    asking.add_argument("--chat", action="store_true", default=None, help="ask by chat messages")
    asking.add_argument("--shots", type=int, help="examples before each question")
    asking.add_argument("--seed", type=int, help="of the choice of shots")
    asking.add_argument("--limit", type=int, help="the first so many of each language")
    asking.add_argument("--maximum-new-tokens", type=int, help="longest answer")
    asking.add_argument("--maximum-prompt-tokens", type=int, help="longer prompts are cut")
    asking.add_argument("--tokenizer", type=Path, help="folder of the tokenizer to count with")
    asking.add_argument("--concurrency", type=int, help="requests in flight (default 16)")
    asking.add_argument("--timeout-s", type=float, help="longest wait for one answer")
    asking.add_argument("--requests-per-minute", type=int)
    asking.add_argument("--tokens-per-minute", type=int)
    asking.add_argument("--maximum-tokens", type=int, help="budget of each benchmark")


def answer(options: argparse.Namespace) -> int:
    """Ask and score every benchmark that is named; print the results."""
    from medray.evaluation.client import EndpointError
    from medray.evaluation.limits import BudgetSpentError
    from medray.evaluation.running.run import run_benchmark

    names = _names(options.recipe)
    settings = _settings(options)
    folder = data_folder(options.data)
    count = _counter(options.tokenizer or options.engine)
    reporter = Reporter.for_stream(options.json)
    told = []
    with _asked(options, settings) as (model_name, sender):
        out = options.out or DEFAULT_FOLDER / model_name.replace("/", "--")
        for name in names:
            log = StageLog(reporter, name)
            try:
                with log.open():
                    told.append(
                        run_benchmark(
                            catalogue.load(name), folder, model_name, sender, settings, out,
                            split=options.split, count=count,
                            on_done=partial(log.progress, "question"),
                        )
                    )  # fmt: skip
            except BudgetSpentError as error:
                raise InputError(f"{name}: {error}; the same command goes on from here") from error
            except EndpointError as error:
                if error.status not in REFUSED_STATUS:
                    raise
                raise InputError(f"{name}: {error}") from error
    _print(told, options.json)
    return EXIT_DONE


@contextmanager
def _asked(options: argparse.Namespace, settings: RunSettings) -> Iterator[tuple[str, Sender]]:
    """Yield the model's name and what asks it: an endpoint, or replicas on Ray."""
    from medray.evaluation.client import EndpointAddress
    from medray.evaluation.running.asking import endpoint

    if options.engine is None:
        if options.model is None:
            raise InputError("--model: name the model that the endpoint serves")
        address = EndpointAddress(options.endpoint, options.model, options.key_environment)
        yield options.model, endpoint(address, settings)
        return
    if options.endpoint is not None:
        raise InputError("--engine: a model's folder or an --endpoint, not both")
    from jobs.benchmark import serving_errors
    from jobs.engine_data import over_ray_data
    from medray.runtime import RayRuntime
    from serving.config import ServingConfig
    from serving.folders import check_folders

    with serving_errors("--engine"):
        config = ServingConfig(
            model=options.engine.absolute(),
            adapter=options.adapter and options.adapter.absolute(),
            model_name=options.model or "",
            num_gpus=options.gpus,
        )
        check_folders(config)
    ray = RayRuntime(options.address, options.cpus)
    try:
        yield config.model_name, over_ray_data(config, settings, ray, options.replicas)
    finally:
        ray.shutdown()


def _names(given: Sequence[str]) -> list[str]:
    """Return the benchmarks that are named, families written out, each once."""
    if not given:
        raise InputError("benchmark: name benchmarks to ask; --list names all")
    families = catalogue.families()
    names = [name for word in given for name in families.get(word, [word])]
    for name in names:
        catalogue.load(name)
    return list(dict.fromkeys(names))


def _settings(options: argparse.Namespace) -> RunSettings:
    from medray.evaluation.running.settings import RunSettings

    given = {name: getattr(options, name) for name in _SETTINGS}
    limits = {name: getattr(options, name) for name in _LIMITS}
    tree = {name: value for name, value in given.items() if value is not None}
    tree["limits"] = {name: value for name, value in limits.items() if value is not None}
    return check_config(RunSettings, tree, "benchmark", whole="options")


def _counter(folder: Path | None) -> Count | None:
    """Return what counts a text's tokens, the tokenizer's own first token with them."""
    if folder is None:
        return None
    from medray.corpus.tokens.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(folder)
    return lambda text: len(tokenizer(text)["input_ids"])


def _print(told: Sequence[dict[str, Any]], as_json: bool) -> None:
    from medray.evaluation.scoring.table import lines_of, run_line

    if as_json:
        print(json.dumps(told if len(told) > 1 else told[0], ensure_ascii=False))
        return
    for number, results in enumerate(told):
        print("\n".join([*([""] if number else []), *lines_of(results), run_line(results["run"])]))
