"""What a worker refuses before it trains."""

from __future__ import annotations

from pathlib import Path

import pytest

from medray.errors import InputError
from medray.models.folder import load_adapter
from medray.training.config import TrainingConfig
from medray.training.loop import Assembly, check_assembly
from medray.training.methods import Freeze, Full, Prefix, apply_method

from .architectures import examples, make

# The models of the tests have 128 positions.
PREFIX = Prefix(length=8)


def check(model: object, longest: int) -> None:
    check_assembly(Assembly(model, examples(lengths=(longest,)), None, None), TrainingConfig())


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_sequence_needs_a_position_for_each_token(family: str) -> None:
    check(make(family), 128)
    with pytest.raises(InputError, match=r"^a sequence has 129 tokens, the model 128 positions$"):
        check(make(family), 129)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_prefix_takes_positions_too(family: str) -> None:
    model = apply_method(make(family), PREFIX)
    check(model, 120)
    told = r"^a sequence has 121 tokens behind a prefix of 8, the model 128 positions$"
    with pytest.raises(InputError, match=told):
        check(model, 121)


@pytest.mark.parametrize("method", [Full(), Freeze(trained_layers=1)])
def test_so_does_a_prefix_of_an_earlier_stage(tmp_path: Path, method: Full | Freeze) -> None:
    apply_method(make("llama"), PREFIX).save_pretrained(tmp_path)
    model = apply_method(load_adapter(make("llama"), tmp_path), method)
    check(model, 120)
    with pytest.raises(InputError, match="behind a prefix of 8"):
        check(model, 121)
