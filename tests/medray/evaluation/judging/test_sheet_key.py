from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from medray.errors import InputError
from medray.evaluation.judging.entries import Entry
from medray.evaluation.judging.protocol import load
from medray.evaluation.judging.sheet_key import SheetKey, draw_key
from medray.storage.location import Location


def entries(count: int = 4, systems: str = "abc") -> list[Entry]:
    return [Entry(f"q{n}", "Q", "", {s: f"{s}{n}" for s in systems}) for n in range(count)]


RANKING = load("medglm_ranking")


def test_a_seed_draws_the_same_key_and_another_one_another() -> None:
    key = draw_key(entries(), RANKING, ["x", "y"], 1)
    assert key == draw_key(entries(), RANKING, ["x", "y"], 1)
    assert key.orders != draw_key(entries(), RANKING, ["x", "y"], 2).orders
    one, two = key.raters
    assert key.orders[one] != key.orders[two]


def test_every_order_has_the_same_chance() -> None:
    key = draw_key(entries(3000), RANKING, ["x"], 0)
    counts = Counter(map(tuple, next(iter(key.orders.values()))))
    # 500 each; a standard deviation is 20.
    assert len(counts) == 6
    assert all(400 < count < 600 for count in counts.values())


def test_a_key_comes_back_and_tells_letters(tmp_path: Path) -> None:
    protocol = load("mmedbench_rationale")
    key = draw_key(entries(), protocol, ["Wang", "李"], 3)
    place = Location.of(tmp_path / "key.json")
    key.write(place)
    assert SheetKey.read(place) == key
    sheet = next(iter(key.raters))
    assert key.letters(sheet, 0) == {
        letter: "abc"[place] for letter, place in zip("ABC", key.orders[sheet][0], strict=True)
    }


def test_what_cannot_be_blinded_is_told() -> None:
    with pytest.raises(InputError, match="--raters: Wang is named twice"):
        draw_key(entries(), RANKING, ["Wang", "wang"], 0)
    with pytest.raises(InputError, match="--answers: pairwise compares two systems, not 3"):
        draw_key(entries(), load("pairwise"), ["x"], 0)
    with pytest.raises(
        InputError, match="--answers: medglm_ranking ranks several systems, not one"
    ):
        draw_key(entries(systems="a"), RANKING, ["x"], 0)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"seed"', '"sed"', r"key\.json: sed: unknown key; did you mean seed\?"),
        ('"version": 1', '"version": 2', r"key\.json: version"),
        ('"q3"', '"q3", "q4"', r"key\.json: key: orders\.s\w+ has not every system"),
        ("{", "[", r"key\.json: cannot be read as a key"),
    ],
)
def test_a_wrong_key_is_told(tmp_path: Path, old: str, new: str, told: str) -> None:
    place = Location.of(tmp_path / "key.json")
    draw_key(entries(), RANKING, ["x"], 3).write(place)
    text = (tmp_path / "key.json").read_text()
    assert old in text
    (tmp_path / "key.json").write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=told):
        SheetKey.read(place)
