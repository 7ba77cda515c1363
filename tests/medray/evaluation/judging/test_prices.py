from __future__ import annotations

from pathlib import Path

import pytest

from medray.errors import InputError
from medray.evaluation.client import Reply
from medray.evaluation.judging.prices import PriceTable, usage

TABLE = """\
currency: EUR
models:
  gpt: {prompt_per_million: 2.5, completion_per_million: 10}
"""


def table(tmp_path: Path, text: str = TABLE) -> PriceTable:
    file = tmp_path / "prices.yaml"
    file.write_text(text)
    return PriceTable.read(file)


def test_cost_is_tokens_times_price(tmp_path: Path) -> None:
    found = usage([Reply("", "", 1000, 10), Reply("", "", 3000, 90)], "gpt", table(tmp_path))
    # 4000 * 2.5 / 10**6 + 100 * 10 / 10**6
    assert found.pop("cost") == {"value": pytest.approx(0.011), "currency": "EUR"}
    assert found == {
        "answers": 2,
        "prompt_tokens": 4000,
        "completion_tokens": 100,
        "without_usage": 0,
    }


def test_nothing_is_guessed(tmp_path: Path) -> None:
    told, untold = Reply("", "", 10, 1), Reply("", "", None, None)
    prices = table(tmp_path)
    assert usage([told, untold], "gpt", prices)["cost"] is None
    assert usage([told, untold], "gpt", prices)["without_usage"] == 1
    assert usage([told], "another", prices)["cost"] is None
    assert usage([told], "gpt", None)["cost"] is None
    assert usage([], "gpt", prices)["cost"] == {"value": 0, "currency": "EUR"}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("currency", "curency", r"prices\.yaml: curency: unknown key; did you mean currency\?"),
        ("2.5", "-2.5", r"prices\.yaml: models\.gpt\.prompt_per_million"),
        ("completion_per", "completions_per", r"models\.gpt\.completions_per_million: unknown key"),
    ],
)
def test_a_wrong_table_names_file_and_key(tmp_path: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        table(tmp_path, TABLE.replace(old, new))
