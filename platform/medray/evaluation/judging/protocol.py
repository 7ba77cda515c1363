"""Protocols of judging: what is judged, on which scales, and how a model judge is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from medray.errors import InputError
from medray.recipe import Config, check_config, nearest, read_yaml

FOLDER = Path(__file__).with_name("declared")
Kind = Literal["pairwise", "marks", "ranking"]
PREFERENCE = "preference"
# What sheets say beside the marks.
_COLUMNS = {"sheet", "item", "question", "reference", "answer", "text", "remark"}
_PLACE = re.compile(r"\{(\w+)\}")
# What a prompt may speak of, by kind.
_PLACES = {
    "pairwise": {"question", "first", "second", "reference"},
    "marks": {"question", "answer", "reference"},
}


class Dimension(Config):
    """One thing that is marked, on a scale of equal steps with both ends in it."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="column of sheets and results")
    label: str = Field(min_length=1, description="what raters read; judges may answer with it")
    meaning: str = Field(default="", description="when to give a high mark")
    low: float
    high: float
    step: float = Field(default=1.0, gt=0)
    better: Literal["higher", "lower"] = "higher"
    anchors: dict[float, str] = Field(default={}, description="what single marks stand for")

    @model_validator(mode="after")
    def _is_a_scale(self) -> Dimension:
        if self.high <= self.low:
            raise ValueError(f"high {self.high:g} is not above low {self.low:g}")
        return self

    def holds(self, value: float) -> bool:
        """Say whether a value is a mark of the scale."""
        steps = (value - self.low) / self.step
        return self.low <= value <= self.high and abs(steps - round(steps)) < 1e-9

    @property
    def scale(self) -> list[float]:
        """All marks, from low to high."""
        steps = int((self.high - self.low) / self.step + 1e-9)
        return [self.low + number * self.step for number in range(steps + 1)]


class Prompt(Config):
    """How a model judge is asked. {question}, {answer}, {first}, {second}, {reference} stand in."""

    system: str = ""
    user: str = Field(min_length=1)
    maximum_new_tokens: int = Field(default=512, ge=1)

    def messages(self, texts: Mapping[str, str]) -> list[dict[str, str]]:
        """Return the chat messages; a name in braces inside a text is left as it is."""
        user = _PLACE.sub(lambda m: texts.get(m[1], m[0]), self.user)
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": user}]


class Protocol(Config):
    """A way of judging. ``pairwise``: which of two answers; ``marks``; ``ranking`` of several."""

    name: str
    title: str = Field(min_length=1)
    kind: Kind
    source: str = Field(description="the paper or repository it comes from, and what is ours")
    guide: str = Field(min_length=1, description="what human raters are told")
    language: str = Field(default="en", description="of the guide and the labels")
    dimensions: list[Dimension] = Field(default=[])
    needs_reference: bool = False
    prompt: Prompt | None = None

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Protocol:
        names = [dimension.name for dimension in self.dimensions]
        if len(set(names)) < len(names):
            raise ValueError("two dimensions have one name")
        if taken := sorted(_COLUMNS & set(names)):
            raise ValueError(f"a dimension may not be named {taken[0]}: sheets have such a column")
        if (self.kind == "marks") != bool(names):
            raise ValueError("dimensions belong to kind marks, which has at least one")
        if self.prompt is None:
            return self
        if self.kind == "ranking":
            raise ValueError("a ranking is made by people; it takes no prompt")
        named = set(_PLACE.findall(self.prompt.user))
        needed = _PLACES[self.kind] - {"reference"}
        if self.needs_reference:
            needed |= {"reference"}
        if wrong := named - _PLACES[self.kind]:
            raise ValueError(f"prompt.user: nothing stands for {{{min(wrong)}}}")
        if missing := needed - named:
            raise ValueError(f"prompt.user: {{{min(missing)}}} is missing")
        return self


def names() -> list[str]:
    """Return the names of the protocols that come with medray."""
    return sorted(_declared())


def load(name: str) -> Protocol:
    """Return a protocol by its name, or that of a YAML file; InputError names file and key."""
    if name.endswith((".yaml", ".yml")):
        return _read(Path(name))
    declared = _declared()
    if name not in declared:
        raise InputError(f"--protocol: no protocol {name!r}{nearest(name, sorted(declared))}")
    return declared[name]


@cache
def _declared() -> dict[str, Protocol]:
    return {
        protocol.name: protocol
        for protocol in (_read(file) for file in sorted(FOLDER.glob("*.yaml")))
    }


def _read(file: Path) -> Protocol:
    return check_config(Protocol, read_yaml(file), file.name, whole="protocol")


def rank_dimension(systems: int) -> Dimension:
    """Return the scale of a ranking: 1 is the best of so many systems."""
    return Dimension(name="rank", label="Rank", low=1, high=max(systems, 2), better="lower")


def preference_dimension() -> Dimension:
    """Return the scale of a pairwise judgement, from the model's side: 1 win, a tie a half.

    Two orders of a model judge that differ by a tie give quarters.
    """
    return Dimension(name=PREFERENCE, label="Preference", low=0, high=1, step=0.25)


def scales(protocol: Protocol, systems: int) -> list[Dimension]:
    """Return what a protocol's marks are of, with so many systems judged."""
    if protocol.kind == "ranking":
        return [rank_dimension(systems)]
    if protocol.kind == "pairwise":
        return [preference_dimension()]
    return list(protocol.dimensions)
