from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from medray.corpus.windows import WindowConfig, cut

CONFIGS = st.integers(8, 40).flatmap(
    lambda size: st.builds(
        WindowConfig, window_tokens=st.just(size), overlap_tokens=st.integers(0, size - 1)
    )
)


@given(st.integers(0, 300), CONFIGS)
def test_windows_hold_every_token_in_order(count: int, config: WindowConfig) -> None:
    windows = cut(range(count), config)
    assert sorted({token for window in windows for token in window}) == list(range(count))
    assert all(window == list(range(window[0], window[-1] + 1)) for window in windows)


@given(st.integers(1, 300), CONFIGS)
def test_windows_are_full_and_start_one_stride_apart(count: int, config: WindowConfig) -> None:
    windows = cut(range(count), config)
    stride = config.window_tokens - config.overlap_tokens
    assert all(len(window) == min(count, config.window_tokens) for window in windows)
    starts = [window[0] for window in windows]
    steps = [after - before for before, after in pairwise(starts)]
    assert all(step == stride for step in steps[:-1])
    assert all(0 < step <= stride for step in steps[-1:])
    assert windows[-1][-1] == count - 1


@given(st.integers(1, 300), CONFIGS)
def test_there_are_no_more_windows_than_needed(count: int, config: WindowConfig) -> None:
    stride = config.window_tokens - config.overlap_tokens
    needed = 1 + max(0, -(-(count - config.window_tokens) // stride))
    assert len(cut(range(count), config)) == needed


def test_mmedlms_windows() -> None:
    windows = cut(range(5000), WindowConfig())
    assert [(w[0], w[-1]) for w in windows] == [(0, 2047), (1536, 3583), (2952, 4999)]


def test_a_short_document_is_one_short_window() -> None:
    config = WindowConfig(window_tokens=8, overlap_tokens=2)
    assert cut([1, 2, 3], config) == [[1, 2, 3]]
    assert cut(range(8), config) == [list(range(8))]
    assert cut(range(9), config) == [list(range(8)), list(range(1, 9))]
    assert cut([], config) == []


@pytest.mark.parametrize(
    ("window_tokens", "overlap_tokens"), [(8, 8), (8, 9), (7, 0), (16, -1), (0, 0)]
)
def test_windows_that_never_end_are_refused(window_tokens: int, overlap_tokens: int) -> None:
    with pytest.raises(ValidationError):
        WindowConfig(window_tokens=window_tokens, overlap_tokens=overlap_tokens)
