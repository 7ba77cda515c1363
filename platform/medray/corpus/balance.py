"""Balancing: how often each language's and source's documents stand in the corpus.

A plan gives every (language, source) a rate: the expected number of copies of each of its
documents. 0.3 keeps 30 % of them, 1.7 keeps all once and 70 % twice. Which documents is decided
by a hash of the document's id, so it depends on nothing else: not on order, sharding or workers.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import xxhash
from pydantic import Field, model_validator

from medray.errors import InputError
from medray.languages import LANGUAGES
from medray.recipe import Config

Group = tuple[str, str]
# Rates are told and compared to this many decimals: a corpus of 10^9 documents moves by one.
RATE_DECIMALS = 9
SHARES_TOLERANCE = 1e-6
# A hash's upper 53 bits are a uniform number of [0, 1) without rounding.
HASH_TO_UNIT = 2.0**-53


class BalanceConfig(Config):
    """What the corpus is to be made of; the mode's own key is given, the others' are not."""

    mode: Literal["temperature", "shares", "quota"] = Field(
        description="temperature: shares from counts ** alpha; shares: given; quota: given sizes"
    )
    unit: Literal["characters", "documents"] = Field(
        default="characters", description="what shares, quotas and size count"
    )
    alpha: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="temperature: exponent of a language's count; 1 changes nothing, 0 makes all "
        "languages equal (XLM-R, Conneau et al. 2020, took 0.3)",
    )
    source_alpha: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="temperature, shares: the same exponent for the sources inside a language; "
        "not given, they keep their shares",
    )
    shares: dict[str, float] | None = Field(
        default=None, description="shares: by language, adding up to 1"
    )
    quotas: dict[str, int] | None = Field(
        default=None,
        description="quota: by language (zh) or language/source (zh/mC4), in the unit; sources "
        "without their own share what is left of their language's; what is not named stays",
    )
    size: int | None = Field(
        default=None,
        ge=1,
        description="temperature, shares: size of the balanced corpus in the unit; not given, "
        "that of the corpus as it is",
    )
    maximum_copies: float = Field(
        default=4.0,
        ge=1,
        description="most copies of a document; up to 4 epochs of repeated text serve about as "
        "well as new text (Muennighoff et al. 2023, Scaling data-constrained language models)",
    )

    @model_validator(mode="after")
    def _check(self) -> BalanceConfig:
        needed = {"temperature": "alpha", "shares": "shares", "quota": "quotas"}
        for mode, key in needed.items():
            if (getattr(self, key) is not None) != (mode == self.mode):
                raise ValueError(f"mode {self.mode} is set by {needed[self.mode]} alone, not {key}")
        if self.mode == "quota" and (self.size is not None or self.source_alpha is not None):
            raise ValueError("mode quota has neither size nor source_alpha")
        self._check_numbers()
        return self

    def _check_numbers(self) -> None:
        for key in [*(self.shares or {}), *(self.quotas or {})]:
            code = key.partition("/")[0]
            if code not in LANGUAGES:
                raise ValueError(f"no language {code}; there are {', '.join(LANGUAGES)}")
        numbers = [*(self.shares or {}).values(), *(self.quotas or {}).values()]
        if any(not 0 <= number < math.inf for number in numbers):
            raise ValueError("shares and quotas are numbers from 0 up")
        total = sum(self.shares.values()) if self.shares is not None else 1.0
        if abs(total - 1) > SHARES_TOLERANCE:
            raise ValueError(f"shares add up to {total:g}, not to 1")


@dataclass(frozen=True)
class BalanceRow:
    """One group's part in a plan; ``available``, ``target`` and ``expected`` in the unit."""

    language: str
    source: str
    available: int
    target: float
    expected: float
    rate: float


@dataclass(frozen=True)
class BalancePlan:
    """The rates of all groups, and what the cap on copies leaves short of the target."""

    unit: str
    rows: tuple[BalanceRow, ...]

    @property
    def rates(self) -> dict[Group, float]:
        """Expected copies of a document, by (language, source)."""
        return {(row.language, row.source): row.rate for row in self.rows}

    @property
    def shortfalls(self) -> list[str]:
        """One line for each language whose documents cannot give the target within the cap."""
        lines = []
        for language in dict.fromkeys(row.language for row in self.rows):
            rows = [row for row in self.rows if row.language == language]
            short = [row for row in rows if row.expected < row.target * (1 - 1e-6)]
            if short:
                expected, target = sum(r.expected for r in rows), sum(r.target for r in rows)
                copies = max(row.rate for row in short)
                lines.append(
                    f"{language}: {expected:,.0f} of {target:,.0f} {self.unit}, for "
                    f"{len(short)} of {len(rows)} sources reach the cap of {copies:g} copies"
                )
        return lines

    def to_json(self) -> dict[str, Any]:
        """Return plain data for a manifest: unit, rows, shortfalls."""
        rows = [asdict(row) for row in self.rows]
        return {"unit": self.unit, "rows": rows, "shortfalls": self.shortfalls}


def plan_balance(counts: Mapping[Group, tuple[int, int]], config: BalanceConfig) -> BalancePlan:
    """Return the rate of every (language, source) in ``counts``: (documents, characters) kept.

    A group at the cap on copies gives less than its target; the others keep theirs, so that their
    sizes stay as asked relative to one another. Raises InputError where the configuration names a
    language or source that is not in the corpus, or leaves one out of the shares.
    """
    number = 0 if config.unit == "documents" else 1
    sizes = {group: counts[group][number] for group in sorted(counts)}
    by_quota = config.mode == "quota"
    targets = _quota_targets(sizes, config) if by_quota else _share_targets(sizes, config)
    rows = []
    for group, size in sizes.items():
        target = targets[group]
        # A group without a character (or document) has nothing to balance.
        wanted = round(target / size, RATE_DECIMALS) if size else 1.0
        # Never above a quota; the margin is for the last bit of target / size * size.
        if by_quota and wanted * size > target * (1 + 1e-12):
            wanted = max(0.0, wanted - 10.0**-RATE_DECIMALS)
        rate = min(wanted, config.maximum_copies)
        rows.append(BalanceRow(*group, size, target, rate * size, rate))
    return BalancePlan(config.unit, tuple(rows))


def copies(document_ids: pa.StringArray | pa.ChunkedArray, rate: float, seed: int) -> pa.Array:
    """Return int32, how often each document stands in the corpus: floor(rate) or one more.

    One more where XXH3's 64 bits of the id under ``seed``, as a number of [0, 1), lie under the
    rate's fraction. So equal ids, rate and seed give equal copies for ever, and a higher rate
    never gives fewer. ``ValueError`` for a rate that is negative or not finite.
    """
    if not 0 <= rate < math.inf:
        raise ValueError(f"a rate is a number from 0 up, not {rate}")
    whole = math.floor(rate)
    digest = xxhash.xxh3_64_intdigest
    ids = document_ids.cast(pa.binary()).to_pylist()
    hashes = np.fromiter((digest(i, seed) for i in ids), np.uint64, len(ids))
    units = (hashes >> np.uint64(11)) * HASH_TO_UNIT
    return pa.array((whole + (units < rate - whole)).astype(np.int32))


def _by_language(sizes: Mapping[Group, int]) -> dict[str, dict[Group, int]]:
    parts: dict[str, dict[Group, int]] = defaultdict(dict)
    for group, size in sizes.items():
        parts[group[0]][group] = size
    return dict(parts)


def _powers(sizes: Mapping[Any, int], alpha: float) -> dict[Any, float]:
    """Return shares in proportion to size ** alpha, adding up to 1; nothing has no share."""
    powers = {key: float(size) ** alpha if size else 0.0 for key, size in sizes.items()}
    total = sum(powers.values()) or 1.0
    return {key: power / total for key, power in powers.items()}


def _share_targets(sizes: Mapping[Group, int], config: BalanceConfig) -> dict[Group, float]:
    parts = _by_language(sizes)
    totals = {code: sum(groups.values()) for code, groups in parts.items()}
    if config.alpha is not None:
        shares = _powers(totals, config.alpha)
    else:
        shares = config.shares or {}
        _check_languages(totals, shares)
    size = sum(totals.values()) if config.size is None else config.size
    source_alpha = 1.0 if config.source_alpha is None else config.source_alpha
    return {
        group: size * shares.get(code, 0.0) * share
        for code, groups in parts.items()
        for group, share in _powers(groups, source_alpha).items()
    }


def _check_languages(totals: Mapping[str, int], shares: Mapping[str, float]) -> None:
    if unknown := [code for code, share in shares.items() if share and not totals.get(code)]:
        raise InputError(
            f"balance.shares: no document of {', '.join(unknown)} was kept; leave it out"
        )
    if missing := [code for code, total in totals.items() if total and code not in shares]:
        raise InputError(
            f"balance.shares: no share of {', '.join(missing)}; give 0 to leave a language out"
        )


def _quota_targets(sizes: Mapping[Group, int], config: BalanceConfig) -> dict[Group, float]:
    """Return what each group is to give: its quota, its part of its language's, or all it has."""
    quotas = config.quotas or {}
    parts = _by_language(sizes)
    own = {group: quotas[key] for group in sizes if (key := "/".join(group)) in quotas}
    known = {"/".join(group) for group in own} | parts.keys()
    if unknown := [key for key in quotas if key not in known]:
        names = ", ".join(sorted("/".join(group) for group in sizes))
        raise InputError(f"balance.quotas: no document of {', '.join(unknown)}; there are {names}")
    targets: dict[Group, float] = {}
    for code, groups in parts.items():
        others = {group: size for group, size in groups.items() if group not in own}
        if code not in quotas:
            targets |= {group: float(size) for group, size in others.items()}
            continue
        left = quotas[code] - sum(own[group] for group in groups if group in own)
        if left < 0:
            raise InputError(
                f"balance.quotas: the quotas of {code}'s sources add up to more than {code}'s own"
            )
        targets |= {group: left * share for group, share in _powers(others, 1.0).items()}
    return targets | {group: float(quota) for group, quota in own.items()}
