from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from medray.errors import InputError
from medray.evaluation.judging.pairwise import measure
from medray.evaluation.judging.recorded import read_recorded
from medray.storage.location import Location

PUBLISHED = {
    "win_rate": "win_rate",
    "win_rate_non_tied": "win_rate_non_tied",
    "win_rate_half": "win_rate_half_ties",
    "consistency": "consistency",
    "error": "error",
}
RECOMPUTED = PUBLISHED | {"mean_two_orders": "mean_of_two_orders"}


def golden(folder: Path) -> list[tuple[str, dict[str, Any], Location, Location]]:
    cases = []
    for result in json.loads((folder / "expected.json").read_text())["results"]:
        files = {"model_first" in name: folder / result["model"] / name for name in result["files"]}
        name = f"{result['model']} against {result['reference']}"
        cases.append((name, result, Location.of(files[True]), Location.of(files[False])))
    return cases


@pytest.mark.parametrize("mode", ["correct", "as-published"])
def test_every_published_judge_table_comes_out_to_its_last_digit(
    real_data: Path, mode: Any
) -> None:
    folders = sorted((real_data / "evaluation" / "golden").glob("judge_*"))
    assert folders
    checked = 0
    for folder in folders:
        for name, expected, model_first, reference_first in golden(folder):
            found = measure(read_recorded(model_first, reference_first, mode))
            for key in ("n", "win", "tie", "lose"):
                assert found[key] == expected[key], (name, key)
            assert found["unparsed"] == expected["errors"]
            assert round(found["consistency"]["value"] * found["n"]) == expected["consistent"]
            for key, ours in PUBLISHED.items():
                value = 100 * found[ours]["value"]
                assert f"{value:.1f}" == f"{expected['published_pct'][key]:.1f}", (name, key)
                checked += 1
            for key, ours in RECOMPUTED.items():
                if f"{key}_pct" in expected:
                    value = 100 * found[ours]["value"]
                    assert value == pytest.approx(expected[f"{key}_pct"], abs=5e-5), (name, key)
            for order in ("model_first", "reference_first"):
                counts = found["orders"][order]
                told = [counts[each] for each in ("win", "tie", "lose")]
                assert told == expected[f"{order}_wtl"], (name, order)
            assert found["win_rate"]["low"] < found["win_rate"]["value"] < found["win_rate"]["high"]
    assert checked >= 20


def write(path: Path, rows: list[dict[str, Any]]) -> Location:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Location.of(path)


def test_alpacares_files_pair_by_their_place(tmp_path: Path) -> None:
    last = write(
        tmp_path / "last.jsonl", [{"response": "Output (a)"}, {"response": "Output (a) is better"}]
    )
    first = write(
        tmp_path / "first.jsonl", [{"response": "Output (b)"}, {"response": "Output (a)"}]
    )
    correct = measure(read_recorded(last, first))
    assert (correct["win"], correct["tie"], correct["unparsed"]) == (1, 1, 0)
    published = measure(read_recorded(last, first, "as-published"))
    assert (published["win"], published["tie"], published["unparsed"]) == (1, 0, 1)
    assert published["mean_of_two_orders"]["value"] == 1.0


def test_rows_with_ids_pair_by_them_in_any_order(tmp_path: Path) -> None:
    a = write(tmp_path / "a.jsonl", [{"id": 1, "output": "[[A]]"}, {"id": 2, "output": "[[B]]"}])
    b = write(tmp_path / "b.jsonl", [{"id": 2, "output": "[[A]]"}, {"id": 1, "output": "[[B]]"}])
    assert [(p.item_id, p.outcome) for p in read_recorded(a, b)] == [("1", "win"), ("2", "lose")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds no row"),
        ("[1]", "row 1 is no object"),
        ("{]", "line 1: no JSON"),
        ("[{]", "no JSON"),
        ('{"id": 1}', "row 1: no response or output or answer"),
        ('{"id": 1, "response": ""}\n{"id": 1, "response": ""}', "item 1 stands twice"),
        ('{"id": 2, "response": ""}', "no answer about item"),
    ],
)
def test_wrong_files_are_told(tmp_path: Path, text: str, told: str) -> None:
    right = write(tmp_path / "right.jsonl", [{"id": 1, "response": "Tie"}])
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text(text)
    with pytest.raises(InputError, match=told) as error:
        read_recorded(right, Location.of(wrong))
    assert str(tmp_path) in str(error.value)
    with pytest.raises(InputError, match="cannot be read"):
        read_recorded(right, Location.of(tmp_path / "none.jsonl"))
