"""`medray serve`: models on this machine until a signal, and keys for those who ask them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from jobs.benchmark import serving_errors
from jobs.command import run_command
from medray.errors import InputError
from medray.runtime import RayRuntime
from serving.config import Autoscaling, ServingConfig
from serving.guard.keys import new_key

CONFIG_SUFFIXES = (".yaml", ".yml")


def add_serve_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what `medray serve` takes."""
    verb.add_argument(
        "model", type=Path, nargs="?",
        help="folder of a Hugging Face model, or a config file of Ray Serve with several",
    )  # fmt: skip
    verb.add_argument("--adapter", type=Path, help="folder of a LoRA to merge in, or of a prefix")
    verb.add_argument(
        "--adapters", help="folder or URI of LoRA folders, each asked for as NAME:FOLDER"
    )
    verb.add_argument("--name", help="model name that clients send (default: the folder's)")
    verb.add_argument("--host", help="default 127.0.0.1; beyond loopback, a key is demanded")
    verb.add_argument("--port", type=int, help="default 8000; 0: any free one")
    verb.add_argument("--replicas", type=int, help="most replicas, by load (default 1)")
    verb.add_argument(
        "--engine", choices=["auto", "transformers", "vllm"],
        help="what runs the model (default auto: vllm where it imports)",
    )  # fmt: skip
    verb.add_argument("--gpus", type=float, help="GPUs of a replica (default 0)")
    verb.add_argument("--keys-file", type=Path, help="YAML file of names, hashes and quotas")
    verb.add_argument(
        "--new-key", metavar="NAME",
        help="print a fresh key, this once, and its entry for a keys file; serve nothing",
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the verb alone: `python -m jobs.serve`, where only what serving needs is installed."""
    parser = argparse.ArgumentParser(prog="medray serve", description=__doc__)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    add_serve_arguments(parser)
    options = parser.parse_args(arguments)
    return run_command(partial(answer, options), debug=options.debug)


def answer(options: argparse.Namespace) -> int:
    """Serve until interrupted, or print a key; return the exit status."""
    if options.new_key is not None:
        return _print_new_key(options.new_key)
    if options.model is None:
        raise InputError("serve: name the folder of a model, a config file, or --new-key NAME")
    from serving.app import run_forever
    from serving.application import build_application

    ray = RayRuntime()
    with serving_errors("serve"):
        configs = _configs(options)
        for config in configs:
            build_application(config)  # what is wrong is told before Ray is started
        try:
            ray.connect()
            run_forever(*configs)
        finally:
            ray.shutdown()
    return 0


def _print_new_key(name: str) -> int:
    try:
        key, entry = new_key(name)
    except ValidationError:
        raise InputError(
            f"serve: --new-key {name}: 1 to 64 letters, digits, dots, dashes or underscores"
        ) from None
    print(
        f"{key}\n\n# The key above is shown this once. Of it, the keys file has:\n{entry}", end=""
    )
    print(
        "    # requests_per_minute: 60\n    # tokens_per_day: 200000\n    # concurrent_requests: 4"
    )
    return 0


def _configs(options: argparse.Namespace) -> list[ServingConfig]:
    """Return the models to serve: of a config file, or the one folder that the options describe."""
    given = {
        "adapter": options.adapter and options.adapter.absolute(),
        "adapters": options.adapters,
        "model_name": options.name,
        "host": options.host,
        "port": options.port,
        "engine": options.engine,
        "num_gpus": options.gpus,
        "keys_file": options.keys_file,
        "autoscaling": options.replicas and Autoscaling(max_replicas=options.replicas),
    }
    given = {name: value for name, value in given.items() if value is not None}
    if options.model.suffix not in CONFIG_SUFFIXES:
        return [ServingConfig(model=options.model.absolute(), **given)]
    if given:
        raise InputError(
            f"serve: a config file says all; {', '.join(sorted(given))} goes with a model's folder"
        )
    from serving.deploy_file import read_deploy_file

    return read_deploy_file(options.model)


if __name__ == "__main__":
    sys.exit(main())
