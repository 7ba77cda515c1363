"""An architecture is given packed rows only where they say what its sequences say alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from medray.errors import InputError
from medray.training.attention import Pieces, attend
from medray.training.methods import apply_method
from medray.training.objective import Objective
from medray.training.sequences import Sequences

from .architectures import METHODS, OTHERS, examples, make

CHOSEN = [3, 0, 4, 5]


def outspoken(family: str) -> Any:
    """Return a model whose weights are so large that what leaks into a piece shows."""
    model = make(family)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


def losses_alone(model: Any, sequences: Sequences) -> torch.Tensor:
    """Return the losses of labelled tokens, of each sequence by itself as transformers has it."""
    losses = []
    for number in CHOSEN:
        part = slice(sequences.offsets[number], sequences.offsets[number + 1])
        tokens = torch.from_numpy(sequences.tokens[part]).long()
        labels = torch.from_numpy(sequences.labels[part]).long()[1:]
        logits = model(input_ids=tokens[None], use_cache=False).logits[0, :-1]
        every = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
        losses.append(every[labels >= 0])
    return torch.cat(losses)


@pytest.mark.parametrize("family", OTHERS)
@torch.no_grad()
def test_packed_or_padded_every_sequence_has_the_losses_it_has_alone(family: str) -> None:
    sequences = examples()
    expected = losses_alone(outspoken(family), sequences)
    objective = Objective(outspoken(family), False)
    assert objective.packs == OTHERS[family][1]
    found = objective(objective.collate(sequences, CHOSEN), each=True)
    assert expected.max() > 3
    assert torch.allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"softcap": 50.0}, "softcap"),
        ({"s_aux": torch.zeros(4)}, "s_aux"),
        ({"is_causal": False}, "is_causal"),
        ({"attention_mask": torch.zeros(1, 1, 6, 6)}, "attention_mask"),
    ],
)
def test_an_attention_that_asks_for_more_than_packed_rows_give_is_told(
    asked: dict[str, Any], named: str
) -> None:
    states = torch.zeros(1, 4, 6, 8)
    pieces = Pieces((0, 2, 6), torch.tensor([0, 2, 6], dtype=torch.int32))
    mask = asked.pop("attention_mask", None)
    with pytest.raises(InputError, match=rf"rows: its attention asks for {named}"):
        attend(SimpleNamespace(), states, states, states, mask, pieces=pieces, **asked)


def test_what_changes_nothing_may_be_handed_down() -> None:
    states = torch.zeros(1, 4, 6, 8)
    pieces = Pieces((0, 2, 6), torch.tensor([0, 2, 6], dtype=torch.int32))
    told = {"position_ids": torch.zeros(1, 6), "use_cache": False, "softcap": None}
    output, _ = attend(SimpleNamespace(), states, states, states, None, pieces=pieces, **told)
    assert output.shape == (1, 6, 4, 8)


@pytest.mark.parametrize("family", ["lfm2", "granitemoehybrid"])
def test_a_prefix_before_layers_without_attention_is_told(family: str) -> None:
    model = apply_method(make(family), METHODS["prefix"])
    with pytest.raises(InputError, match="has layers without attention: a prefix cannot enter"):
        Objective(model, False)
