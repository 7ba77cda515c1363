"""What a node's workers map from disk is what was made, and it is made once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.errors import InputError
from medray.storage.scratch import let_go, scratch_folder
from medray.training.sequence_store import Split, Writer, map_sequences, on_this_node
from medray.training.sequences import IGNORED, Example, Sequences

EXAMPLES = st.lists(
    st.builds(
        lambda row, language, name, entry: Example(
            [t for t, _ in row], [label for _, label in row], language, name, entry
        ),
        st.lists(st.tuples(st.integers(0, 999), st.integers(0, 999) | st.just(IGNORED))),
        st.sampled_from(["en", "zh", "ja"]),
        st.text(max_size=3),
        st.sampled_from(["", "general", "medical"]),
    ),
    max_size=5,
)
NOTHING = Sequences.of([])


# Asks for 2 MiB of windows.
ASK = """
import numpy as np
from medray.training.sequence_store import on_this_node
from medray.training.sequences import Example, Sequences
part = Sequences.of([Example(range(1 << 18), range(1 << 18))])
on_this_node("key", lambda: [(part, part)])
"""


@pytest.fixture
def key(tmp_path: Path) -> Iterator[str]:
    yield f"test-{os.getpid()}-{tmp_path.name}"
    let_go()


def kept(key: str) -> list[Path]:
    return list(scratch_folder().parent.glob(f"shared-*{key}"))


def told(sequences: Sequences) -> list[tuple[Any, ...]]:
    """Return all that is known of each sequence."""
    found = []
    for number in range(len(sequences)):
        part = slice(sequences.offsets[number], sequences.offsets[number + 1])
        row: tuple[Any, ...] = (sequences.tokens[part].tolist(), sequences.labels[part].tolist())
        row += (sequences.borders(number).tolist(),)
        row += (sequences.language_names[sequences.languages[number]],)
        row += (sequences.entry_names[sequences.entries[number]],)
        found.append((*row, sequences.ids_of([number])))
    return found


@given(st.lists(EXAMPLES, max_size=4))
def test_parts_are_found_again_one_after_another(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[Example]]
) -> None:
    folder = tmp_path_factory.mktemp("store") / "sequences"
    with Writer(folder) as writer:
        for part in parts:
            writer.add(Sequences.of(part))
    whole = Sequences.of(example for part in parts for example in part)
    found = map_sequences(folder)
    assert told(found) == told(whole)
    assert found.largest_token == whole.largest_token
    lengths = found.lengths_of(range(len(found)))
    assert lengths.tolist() == whole.lengths.tolist() == found.lengths.tolist()


def windows(*tokens: int) -> Sequences:
    examples = Sequences.of([Example(tokens, tokens, "en", "a")])
    return Sequences(
        examples.tokens,
        examples.tokens,
        examples.offsets,
        examples.pieces,
        examples.languages,
        examples.language_names,
        examples.names,
    )


def test_windows_take_four_bytes_a_token_and_lie_on_disk(tmp_path: Path) -> None:
    with Writer(tmp_path / "s") as writer:
        writer.add(windows(*range(1000)))
        writer.add(windows(7))
    found = map_sequences(tmp_path / "s")
    assert found.labels is found.tokens
    # Windows of a corpus belong to no entry of a recipe.
    assert (len(found.entries), found.entry_names) == (0, ())
    assert (tmp_path / "s" / "tokens").stat().st_size == 4 * 1001
    assert (tmp_path / "s" / "labels").stat().st_size == 0
    assert isinstance(found.tokens.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        found.tokens[0] = 1


def test_windows_and_examples_are_not_mixed(tmp_path: Path) -> None:
    examples = Sequences.of([Example([1], [IGNORED])])
    with Writer(tmp_path / "s") as writer:
        writer.add(windows(1))
        with pytest.raises(ValueError, match="mixed with others"):
            writer.add(examples)


def parts_of(*made: int, times: list[int]) -> Callable[[], Iterator[Split]]:
    def parts() -> Iterator[Split]:
        times.append(1)
        for token in made:
            yield windows(token), windows(token + 100)

    return parts


def test_a_key_is_made_once_and_goes_when_let_go(key: str) -> None:
    times: list[int] = []
    first = on_this_node(key, parts_of(3, 4, times=times))
    again = on_this_node(key, parts_of(5, times=times))
    other = on_this_node(f"other-{key}", parts_of(5, times=times))
    assert len(times) == 2
    assert [part.tokens.tolist() for part in first] == [[3, 4], [103, 104]]
    assert again[0].tokens.tolist() == [3, 4]
    assert other[0].tokens.tolist() == [5]
    let_go()
    assert not kept(key)
    assert not kept(f"other-{key}")
    # What is mapped is still read.
    assert first[1].tokens.tolist() == [103, 104]


def test_what_could_not_be_made_whole_is_not_found_later(key: str) -> None:
    def torn() -> Iterator[Split]:
        yield windows(1), NOTHING
        raise InputError("a torn file")

    with pytest.raises(InputError, match="a torn file"):
        on_this_node(key, torn)
    assert not kept(key)
    assert on_this_node(key, parts_of(9, times=[]))[0].tokens.tolist() == [9]


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    words = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    mounted = subprocess.run(words, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a small disk here: {mounted.stderr.strip()}")
    try:
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        words = [sys.executable, "-c", ASK]
        asked = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        assert "InputError" in asked.stderr
        assert "no room for the sequences to train on; set TMPDIR" in asked.stderr
        assert not list(tmp_path.glob("*/shared-*"))
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)
