from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.training.engine import Step
from medray.training.history import RECENT, SETTLED, DivergedError, History, check_step

from .architectures import examples


def step(loss: float, norm: float = 1.0) -> Step:
    return Step(loss, norm, 1e-3, 100, 90)


def after(losses: list[float]) -> History:
    history = History()
    for loss in losses:
        history.add(step(loss), 5, False)
    return history


@given(st.lists(st.floats(0, 9), max_size=80), st.integers(1, 9))
def test_every_so_many_steps_are_logged_and_the_first_and_the_last(
    losses: list[float], every: int
) -> None:
    history = History()
    for number, loss in enumerate(losses, 1):
        last = number == len(losses)
        logged = history.add(step(loss), every, last)
        assert logged == (number % every == 0 or number == 1 or last)
    assert history.step == len(losses)
    assert history.recent == losses[-RECENT:]
    assert all(losses[number - 1] == loss for number, loss in history.loss)


@pytest.mark.parametrize(
    ("loss", "norm"), [(float("nan"), 1.0), (float("inf"), 1.0), (2.0, float("nan"))]
)
def test_what_is_no_number_ends_the_run_and_names_the_batch(loss: float, norm: float) -> None:
    with pytest.raises(DivergedError, match=r"step 4: loss .*its batch: example 1, example 3$"):
        check_step(step(loss, norm), after([3.0] * 3), 3.0, examples(), [1, 3])


def test_a_spike_ends_the_run_once_the_loss_has_settled() -> None:
    high = step(5.5)
    check_step(high, after([2.0] * (SETTLED - 1)), 3.0, examples(), [0])
    check_step(high, after([2.6] * SETTLED), 3.0, examples(), [0])
    check_step(high, after([2.0] * SETTLED), 0.0, examples(), [0])
    with pytest.raises(DivergedError, match=r"loss 5.5, more than training.spike_nats above 2;"):
        check_step(high, after([2.0] * SETTLED), 3.0, examples(), [0])


def test_a_validation_loss_that_is_no_number_ends_the_run() -> None:
    history = after([2.0] * 4)
    history.add_validation({"en": 2.0, "": 2.0})
    with pytest.raises(DivergedError, match="step 4: validation loss nan"):
        history.add_validation({"en": float("nan"), "": float("nan")})
    assert history.validation_loss == [(4, 2.0)]


def test_a_long_batch_is_named_in_part() -> None:
    sequences = examples(lengths=(4,) * 12)
    with pytest.raises(DivergedError, match=r"example 7 and 4 more$"):
        check_step(step(float("nan")), after([]), 3.0, sequences, list(range(12)))


def test_languages_are_kept_apart() -> None:
    history = after([1.0])
    history.add_validation({"zh": 3.0, "en": 1.0, "": 2.0})
    assert history.validation_loss == [(1, 2.0)]
    assert history.language_loss == [(1, {"en": 1.0, "zh": 3.0})]
