from __future__ import annotations

import torch

from serving.sampling import Sampling, seeded_scores

LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0, 0.5])
DRAWS = 4000


def frequencies(temperature: float, top_p: float) -> torch.Tensor:
    tokens = [
        int(seeded_scores(LOGITS, Sampling(temperature, top_p, seed=7), position).argmax())
        for position in range(DRAWS)
    ]
    return torch.bincount(torch.tensor(tokens), minlength=len(LOGITS)) / DRAWS


def test_draws_follow_the_softmax_of_the_tempered_logits() -> None:
    for temperature in (0.5, 1.0, 2.0):
        expected = (LOGITS / temperature).softmax(-1)
        # 4,000 draws have a standard error of at most 0.008; four of them.
        assert torch.allclose(frequencies(temperature, 1.0), expected, atol=0.032)


def test_top_p_keeps_the_fewest_tokens_that_hold_the_mass() -> None:
    probabilities = LOGITS.softmax(-1)  # 0.56, 0.21, 0.08, 0.03, 0.13
    drawn = frequencies(1.0, 0.6)
    kept = torch.tensor([0, 1])
    assert drawn[kept].sum() == 1
    assert torch.allclose(drawn[kept], probabilities[kept] / probabilities[kept].sum(), atol=0.032)


def test_noise_is_named_by_seed_choice_and_position() -> None:
    def scores(seed: int, choice: int, position: int) -> list[float]:
        return seeded_scores(LOGITS, Sampling(1.0, 1.0, seed, choice), position).tolist()

    assert scores(1, 0, 5) == scores(1, 0, 5)
    assert len({tuple(scores(*name)) for name in [(1, 0, 5), (2, 0, 5), (1, 1, 5), (1, 0, 6)]}) == 4
