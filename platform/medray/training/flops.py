"""Model FLOPs utilisation: the arithmetic that a step needs, over what the devices can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from medray.training.methods import decoder_layers
from medray.training.objective import Objective

# Dense bf16 peaks without sparsity, FLOP/s, by the name that CUDA tells; from NVIDIA's data
# sheets. A device that is not here has no MFU: a guessed peak would make a guessed number.
PEAK_BF16_FLOPS_PER_S = {
    "NVIDIA A100-SXM4-40GB": 312e12,
    "NVIDIA A100-SXM4-80GB": 312e12,
    "NVIDIA A100 80GB PCIe": 312e12,
    "NVIDIA A100-PCIE-40GB": 312e12,
    "NVIDIA A10": 125e12,
    "NVIDIA L4": 121e12,
    "NVIDIA L40S": 362e12,
    "NVIDIA H100 PCIe": 756e12,
    "NVIDIA H100 80GB HBM3": 989e12,
    "NVIDIA H200": 989e12,
    "NVIDIA B200": 2250e12,
}


@dataclass(frozen=True)
class Work:
    """The weights that a model multiplies with, and those that a backward pass goes through.

    ``linear``: weights of linear modules in the decoder's layers; ``passed``: of those at or above
    the lowest trained one, through which gradients of activations flow; ``trained``: those with
    gradients of their own. ``head``: weights of the vocabulary's projection. ``attention_size``:
    heads x head size; ``layers`` and ``passed_layers`` counted likewise. ``prefix``: virtual
    tokens that every token sees.
    """

    linear: int
    passed: int
    trained: int
    head: int
    head_trained: bool
    attention_size: int
    layers: int
    passed_layers: int
    prefix: int

    @classmethod
    def of(cls, objective: Objective) -> Work | None:
        """Count a model's work, before a strategy takes its weights apart.

        None where a layer has matrices that are no linear module's, as experts are: how many
        tokens meet each is not known.
        """
        import torch

        base = objective.base
        layers = list(decoder_layers(base))
        weights, trained, touched = [], 0, []
        for layer in layers:
            modules = [m for m in layer.modules() if isinstance(m, torch.nn.Linear)]
            counted = {id(m.weight) for m in modules}
            if any(p.ndim > 1 and id(p) not in counted for p in layer.parameters()):
                return None
            weights.append(sum(m.weight.numel() for m in modules))
            trained += sum(m.weight.numel() for m in modules if m.weight.requires_grad)
            touched.append(any(p.requires_grad for p in layer.parameters()))
        # A prefix enters the first layer's keys and values; a trained embedding lies below it.
        below = [
            p for n, p in objective.model.named_parameters() if n.startswith("prompt_encoder.")
        ]
        below.append(base.get_input_embeddings().weight)
        whole = any(p.requires_grad for p in below)
        lowest = 0 if whole else touched.index(True) if any(touched) else len(layers)
        config = base.config.get_text_config()
        heads = config.num_attention_heads
        head_size = getattr(config, "head_dim", None) or config.hidden_size // heads
        head = base.get_output_embeddings().weight
        return cls(
            sum(weights),
            sum(weights[lowest:]),
            trained,
            head.numel(),
            bool(head.requires_grad),
            heads * head_size,
            len(layers),
            len(layers) - lowest,
            objective.prefix_length,
        )

    def flops_of(self, piece_lengths: Any, targets: int) -> float:
        """Return the FLOPs of one step: what it needs, not what checkpointing computes again.

        ``piece_lengths``: int array. A weight costs 2 a token going forward, 2 for the activation's
        gradient and 2 for its own (Kaplan et al. 2020, arXiv 2001.08361, section 2.1). Causal
        attention of n tokens: n (n / 2 + prefix) pairs, 4 x ``attention_size`` each forward and
        twice that backward. The vocabulary's projection is done for targets only.
        """
        tokens = float(piece_lengths.sum())
        pairs = float((piece_lengths * (piece_lengths / 2 + self.prefix)).sum())
        linear = 2 * (self.linear + self.passed + self.trained) * tokens
        head = 2 * self.head * (2 + self.head_trained) * targets
        attention = 4 * self.attention_size * (self.layers + 2 * self.passed_layers) * pairs
        return linear + head + attention


def peak_of(device: Any) -> float | None:
    """Return a device's dense bf16 peak in FLOP/s, None where it is not known."""
    import torch

    if device.type != "cuda":
        return None
    return PEAK_BF16_FLOPS_PER_S.get(torch.cuda.get_device_name(device))
