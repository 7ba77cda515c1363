"""What `medray curate` can do beside curating: explain a document, re-threshold, read an audit."""

from __future__ import annotations

import argparse
import json
from typing import Any

from medray.corpus.curate import JOB_VERSION, CurateConfig, first_identity, keyword_lists
from medray.corpus.explain import explain, find_decision
from medray.corpus.passes.first_pass import NAME, check_rethreshold
from medray.corpus.passes.walker import Pass, Walker
from medray.corpus.reports.audit_sheet import read_marked
from medray.errors import InputError
from medray.pipeline import Run, StageContext
from medray.storage.artifact import Artifact
from medray.storage.location import Location


def add_curate_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that only this verb has."""
    parser.add_argument(
        "--explain", metavar="ID", help="print why a document of a finished corpus stayed or went"
    )
    parser.add_argument(
        "--rethreshold", action="store_true",
        help="make the corpus again from its decisions with changed filter.thresholds; refuse "
        "(exit 2) where the text would have to be read and matched again",
    )  # fmt: skip
    parser.add_argument(
        "--marked", metavar="FILE", help="print the precision that a marked audit sheet tells"
    )


def answer(options: argparse.Namespace, run: Run) -> bool:
    """Do what an option asks for instead of curating; say whether that was all."""
    if options.marked is not None:
        print(json.dumps(read_marked(Location.of(options.marked)), ensure_ascii=False))
        return True
    if options.explain is not None:
        _explain(options.explain, run)
        return True
    if options.rethreshold:
        for config, context in run.planned("curate"):
            identity = Walker(context, JOB_VERSION).identity(first_identity(config, context))
            wanted = Pass.of(context.output, NAME, identity)
            check_rethreshold(context.output, wanted, context.name)
    return False


def _explain(document_id: str, run: Run) -> None:
    """Print the decision on a document: of the first curate stage that knows it."""
    failures: list[InputError] = []
    for config, context in run.planned("curate"):
        try:
            _print_decision(document_id, config, context)
        except InputError as error:
            failures.append(error)
        else:
            return
    raise failures[0]


def _print_decision(document_id: str, config: CurateConfig, context: StageContext) -> None:
    artifact: Any = Artifact.open(context.output)
    if artifact is None or artifact.manifest.fingerprint != context.fingerprint:
        raise InputError(
            f"--explain: stage {context.name} of this recipe has no finished corpus in "
            f"{context.output}; give the --set and --workspace that it was made with"
        )
    row = find_decision(context.output, document_id)
    keywords = keyword_lists(config, context)[row["language"]]
    for line in explain(row, config.filter, keywords):
        print(line)
