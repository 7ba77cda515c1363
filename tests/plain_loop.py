"""Training as it would be written on one page: one process, padded batches, plain PyTorch."""

from __future__ import annotations

from typing import Any

import torch

from medray.training.config import TrainingConfig, learning_rate_at
from medray.training.sequences import IGNORED, Sequences


def padded_loss(model: Any, sequences: Sequences, chosen: list[int]) -> torch.Tensor:
    """Return the mean loss a label of sequences of one piece, as transformers computes it."""
    spans = [(sequences.offsets[i], sequences.offsets[i + 1]) for i in chosen]
    longest = max(end - first for first, end in spans)
    tokens = torch.zeros(len(spans), longest, dtype=torch.int64)
    labels = torch.full_like(tokens, IGNORED)
    mask = torch.zeros_like(tokens)
    for row, (first, end) in enumerate(spans):
        tokens[row, : end - first] = torch.from_numpy(sequences.tokens[first:end])
        labels[row, : end - first] = torch.from_numpy(sequences.labels[first:end])
        mask[row, : end - first] = 1
    logits = model(input_ids=tokens, attention_mask=mask).logits
    return torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED
    )


def plain_losses(
    model: Any, sequences: Sequences, batches: list[list[int]], config: TrainingConfig
) -> list[float]:
    """Train on whole global batches; return each step's loss."""
    settings = config.optimizer
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": settings.weight_decay},
            {"params": [p for p in trained if p.ndim == 1], "weight_decay": 0.0},
        ],
        betas=(settings.beta1, settings.beta2),
        eps=settings.epsilon,
    )
    losses = []
    for step, chosen in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(step, config.steps, settings)
        loss = padded_loss(model, sequences, chosen)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, settings.gradient_clipping)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses
