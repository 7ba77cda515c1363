"""What a judge's answers cost, by the user's own price table."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import Field

from medray.evaluation.client import Reply
from medray.recipe import Config, check_config, read_yaml


class Price(Config):
    """Of a million tokens, in the table's currency."""

    prompt_per_million: float = Field(ge=0)
    completion_per_million: float = Field(ge=0)


class PriceTable(Config):
    """``models``: price by the model name that requests carry."""

    currency: str
    models: dict[str, Price]

    @classmethod
    def read(cls, file: Path) -> PriceTable:
        """Read a YAML file; InputError with file and key."""
        return check_config(cls, read_yaml(file), str(file), whole="prices")


def usage(replies: Iterable[Reply], model: str, prices: PriceTable | None) -> dict[str, Any]:
    """Return {answers, prompt_tokens, completion_tokens, without_usage, cost}.

    ``cost`` is {value, currency}, or None where the table does not name the model or an answer
    came without its token counts (``without_usage``): nothing is guessed.
    """
    told = list(replies)
    counted = [
        (reply.prompt_tokens, reply.completion_tokens)
        for reply in told
        if reply.prompt_tokens is not None and reply.completion_tokens is not None
    ]
    prompt, completion = (
        (sum(counts) for counts in zip(*counted, strict=True)) if counted else (0, 0)
    )
    price = prices.models.get(model) if prices is not None else None
    cost = None
    if price is not None and prices is not None and len(counted) == len(told):
        value = prompt * price.prompt_per_million + completion * price.completion_per_million
        cost = {"value": value / 1e6, "currency": prices.currency}
    return {
        "answers": len(told),
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "without_usage": len(told) - len(counted),
        "cost": cost,
    }
