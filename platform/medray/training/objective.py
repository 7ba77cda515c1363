"""The model together with its loss: what a strategy trains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from medray.errors import InputError
from medray.training.architecture import attends_only
from medray.training.attention import Prefix, use_pieces
from medray.training.methods import decoder_layers, prefix_length
from medray.training.micro_batches import MicroBatch, pack_row, pad_row
from medray.training.rows import deal, deal_padded
from medray.training.sequences import Sequences


class Objective(torch.nn.Module):
    """A causal language model, plain or of peft, and the summed loss of its predictions.

    InputError for a prefix before layers that have no keys and values for it.
    """

    def __init__(
        self, model: Any, gradient_checkpointing: bool, compiled: bool = False, liger: bool = False
    ) -> None:
        super().__init__()
        self.model = model
        model.config.use_cache = False
        self.packs = use_pieces(self.base)
        self.prefix_length = prefix_length(model)
        self.has_prefix = self.prefix_length > 0
        if self.has_prefix and not attends_only(self.base):
            name = type(self.base).__name__
            raise InputError(f"{name} has layers without attention: a prefix cannot enter them")
        # A padded batch takes its prefix through the model's cache, which checkpointing forbids.
        if gradient_checkpointing and (self.packs or not self.has_prefix):
            self.base.activation_checkpointing_enable({"use_reentrant": False})
        if liger:
            use_liger(self.base)
        if compiled:
            for layer in decoder_layers(self.base):
                # Rows differ in length: one graph for all of them.
                layer.compile(dynamic=True)

    @property
    def base(self) -> Any:
        """The transformers model, without peft's coat."""
        return self.model.get_base_model() if hasattr(self.model, "peft_config") else self.model

    def deal(
        self, sequences: Sequences, chosen: Sequence[int], capacity: int, workers: int
    ) -> list[list[list[int]]]:
        """Return each worker's forward passes over the chosen sequences, of numbers for collate.

        Of sequences where rows are packed, of pieces where they are padded; no pass has more than
        ``capacity`` places. Every worker has as many.
        """
        if self.packs:
            numbers, lengths = list(chosen), sequences.lengths_of(chosen).tolist()
            shares = deal(lengths, capacity, workers)
        else:
            numbers = sequences.pieces_of(chosen)
            lengths = np.diff(sequences.piece_bounds(numbers))[:, 0].tolist()
            shares = deal_padded(lengths, capacity, workers)
        return [[[numbers[i] for i in row] for row in share] for share in shares]

    def collate(self, sequences: Sequences, numbers: list[int]) -> MicroBatch:
        """Return one forward pass's batch in the layout that the architecture takes."""
        if self.packs:
            return pack_row(sequences, numbers, self.prefix_length)
        return pad_row(sequences, numbers)

    def forward(self, batch: MicroBatch, each: bool = False) -> Any:
        """Return the sum of the targets' losses in nats, a scalar, or ``each`` of them, fp32."""
        logits = self._logits(batch)
        losses = torch.nn.functional.cross_entropy(logits.float(), batch.targets, reduction="none")
        return losses if each else losses.sum()

    def _logits(self, batch: MicroBatch) -> Any:
        """Return [targets, vocabulary]."""
        if batch.pieces is None:
            inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
            with only_at(batch.predictors, self.base.get_output_embeddings()):
                return self.model(**inputs, use_cache=self.has_prefix).logits[0]
        call = self.base if self.has_prefix else self.model
        return call(
            input_ids=batch.input_ids,
            position_ids=batch.position_ids,
            # Only what predicts goes through the vocabulary: a prompt's tokens do not.
            logits_to_keep=batch.predictors,
            use_cache=False,
            pieces=batch.pieces,
            prefix=self._prefix() if self.has_prefix else None,
        ).logits[0]

    def _prefix(self) -> Prefix:
        cache = self.model.get_prompt(batch_size=1)
        return [(layer.keys, layer.values) for layer in cache.layers]


@contextmanager
def only_at(places: Any, head: torch.nn.Module) -> Iterator[None]:
    """Have a model's head see only these places of a padded batch, as one line.

    Logits of all would be the largest tensor by far: BLOOM's vocabulary of 250,880 takes 4 GB in
    bf16 for 8192 places. ``places``: int64, in the batch laid end to end.
    """

    def pick(_: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        return (arguments[0].flatten(0, 1)[places][None], *arguments[1:])

    handle = head.register_forward_pre_hook(pick)
    try:
        yield
    finally:
        handle.remove()


def use_liger(model: Any) -> None:
    """Put Liger's fused kernels into a model; InputError where they are not installed.

    Its loss stays out: ours takes only what predicts through the vocabulary.
    """
    try:
        from liger_kernel.transformers import _apply_liger_kernel_to_instance
    except ImportError as error:
        raise InputError("training.kernels: pip install liger-kernel") from error
    _apply_liger_kernel_to_instance(model, cross_entropy=False, fused_linear_cross_entropy=False)
