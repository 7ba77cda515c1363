"""Which matcher does the work: the fastest that this machine can import, or the one asked for."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal, get_args

from medray.corpus.medical.matching.patterns import PatternSet
from medray.corpus.medical.matching.protocol import Matcher
from medray.corpus.medical.matching.reference import ReferenceMatcher
from medray.errors import InputError

# From the fastest to the slowest (tests/benchmarks/bench_matching.py); all decide alike.
Engine = Literal["compiled", "hyperscan", "ahocorasick", "reference"]
ENGINES: tuple[Engine, ...] = get_args(Engine)
_MODULES = {"compiled": "numba", "hyperscan": "hyperscan", "ahocorasick": "ahocorasick_rs"}


def available(engine: Engine) -> bool:
    """Say whether an engine's library is installed."""
    return engine not in _MODULES or find_spec(_MODULES[engine]) is not None


def choose_engine(engine: Engine | None = None) -> Engine:
    """Return the engine asked for, or the fastest there is; InputError for one that is not here."""
    if engine is None:
        return next(one for one in ENGINES if available(one))
    if not available(engine):
        module = _MODULES[engine]
        raise InputError(
            f"filter.engine: {engine} needs the package {module}, which is not installed; "
            "install it or leave the key out"
        )
    return engine


def build_matcher(patterns: PatternSet, engine: Engine) -> Matcher:
    """Return a matcher of an available engine; a library is imported only where it is used."""
    if engine == "compiled":
        from medray.corpus.medical.matching.compiled import CompiledMatcher

        return CompiledMatcher(patterns)
    if engine == "reference":
        return ReferenceMatcher(patterns)
    from medray.corpus.medical.matching.libraries import AhoCorasickMatcher, HyperscanMatcher

    return (HyperscanMatcher if engine == "hyperscan" else AhoCorasickMatcher)(patterns)
