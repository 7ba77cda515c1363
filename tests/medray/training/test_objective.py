"""A row of packed sequences gives the loss and the gradients of a padded batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plain_loop import padded_loss

from medray.training.methods import apply_method
from medray.training.micro_batches import MicroBatch
from medray.training.objective import Objective
from medray.training.sequences import Sequences

from .architectures import FAMILIES, METHODS, VOCABULARY, examples, make

CHOSEN = [3, 0, 4, 5]


def adapted(family: str, method: str) -> torch.nn.Module:
    model = make(family)
    torch.manual_seed(1)
    model = apply_method(model, METHODS[method])
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # zero at first, so that LoRA's other half would have no gradient
            torch.nn.init.normal_(parameter, std=0.1)
    return model.train()


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", FAMILIES)
def test_packed_rows_give_the_padded_batchs_loss_and_gradients(
    family: str, method: str, checkpointing: bool
) -> None:
    sequences = examples()
    expected = adapted(family, method)
    loss = padded_loss(expected, sequences, CHOSEN)
    loss.backward()
    model = adapted(family, method)
    objective = Objective(model, checkpointing)
    batch = objective.collate(sequences, CHOSEN)
    assert objective.packs == (family != "bloom")
    found = objective(batch) / len(batch.targets)
    found.backward()
    assert found.item() == pytest.approx(loss.item(), abs=1e-6)
    gradients = 0
    for (name, mine), theirs in zip(model.named_parameters(), expected.parameters(), strict=True):
        assert (mine.grad is None) == (theirs.grad is None), name
        if mine.grad is not None:
            assert torch.allclose(mine.grad, theirs.grad, atol=1e-6), name
            gradients += int(mine.grad.abs().max() > 0)
    assert gradients > 0


def test_no_sequence_sees_another() -> None:
    sequences = examples()
    objective = Objective(make("llama"), False)
    alone = [objective(objective.collate(sequences, [i]), each=True) for i in CHOSEN]
    together = objective(objective.collate(sequences, CHOSEN), each=True)
    assert torch.allclose(together, torch.cat(alone), atol=1e-6)


def test_the_documents_of_a_window_do_not_see_each_other() -> None:
    """A window of two documents is as two sequences."""
    two = examples(lengths=(6, 9))
    whole = Sequences(
        two.tokens,
        two.tokens,
        np.asarray([0, 15]),
        np.asarray([0, 6]),
        np.zeros(1, np.int32),
        ("en",),
    )
    apart = Sequences(
        two.tokens,
        two.tokens,
        np.asarray([0, 6, 15]),
        np.asarray([0, 6]),
        np.zeros(2, np.int32),
        ("en",),
    )
    objective = Objective(make("qwen2"), False)
    found = objective(objective.collate(whole, [0]), each=True)
    assert len(found) == 5 + 8
    assert torch.allclose(found, objective(objective.collate(apart, [0, 1]), each=True), atol=1e-6)


@pytest.mark.parametrize("family", ["llama", "bloom"])
def test_a_row_without_targets_has_a_loss_of_zero_and_gradients(family: str) -> None:
    objective = Objective(make(family), False)
    batch = objective.collate(examples(), [])
    assert isinstance(batch, MicroBatch)
    loss = objective(batch)
    loss.backward()
    assert loss.item() == 0
    gradients = [p.grad for p in objective.parameters()]
    assert all(g is not None and not g.any() for g in gradients)


def windows(*documents: list[int]) -> Sequences:
    """Return windows of documents of these lengths, each token a label."""
    lengths = [length for window in documents for length in window]
    tokens = examples(lengths=tuple(lengths)).tokens
    offsets = np.cumsum([0, *map(sum, documents)])
    starts = np.cumsum([0, *lengths])[:-1]
    languages = np.zeros(len(documents), np.int32)
    return Sequences(tokens, tokens, offsets, starts, languages, ("en",))


def test_padded_batches_keep_to_the_budget_and_say_what_packed_rows_do() -> None:
    """A window of one long document and many short ones, beside one of two."""
    data = windows([60, *[3] * 20], [30, 30])
    objective = Objective(make("bloom"), False)
    [passes, others] = objective.deal(data, [1, 0], 120, 2)
    assert len(passes) == len(others)
    losses: dict[int, list[float]] = {0: [], 1: []}
    for row in passes + others:
        batch = objective.collate(data, row)
        assert batch.input_ids.numel() <= 120
        found = objective(batch, each=True).tolist()
        for owner, loss in zip(batch.owners.tolist(), found, strict=True):
            losses[owner].append(loss)
    for number in (0, 1):
        alone = [
            objective(objective.collate(data, [piece]), each=True)
            for piece in data.pieces_of([number])
        ]
        expected = torch.cat(alone).sort().values
        assert torch.allclose(torch.tensor(losses[number]).sort().values, expected, atol=1e-6)


@pytest.mark.parametrize("family", ["llama", "bloom"])
def test_only_what_predicts_goes_through_the_vocabulary(family: str) -> None:
    sequences = examples()
    model = make(family)
    seen = []
    model.get_output_embeddings().register_forward_hook(
        lambda _, inputs, logits: seen.append(logits.shape)
    )
    objective = Objective(model, False)
    batch = objective.collate(sequences, CHOSEN)
    objective(batch)
    assert seen == [(1, len(batch.targets), VOCABULARY)]
