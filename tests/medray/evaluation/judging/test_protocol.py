from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.errors import InputError
from medray.evaluation.judging import protocol
from medray.evaluation.judging.protocol import Dimension, load

# name, kind, dimensions and their scale, whether a model judge is asked
DECLARED = [
    ("alpacare", "pairwise", {}, True),
    ("bentsao", "marks", dict.fromkeys(["completeness", "depth", "professionalism"], (0, 3)), True),
    (
        "medglm_dimensions",
        "marks",
        dict.fromkeys(["accuracy", "value_to_doctor", "fit_for_patient"], (1, 5)),
        False,
    ),
    ("medglm_ranking", "ranking", {}, False),
    ("medglm_short_answers", "marks", {"points": (0, 10)}, True),
    ("mmedbench_rationale", "marks", {"rating": (1, 6)}, True),
    ("pairwise", "pairwise", {}, True),
]
MARKS = """\
name: ward
title: Ward
kind: marks
source: ours
guide: Mark.
dimensions:
  - {name: safety, label: Safety, low: 1, high: 5}
prompt:
  user: "{question} {answer}"
"""


@pytest.mark.parametrize(("name", "kind", "dimensions", "asked"), DECLARED)
def test_each_declared_protocol_is_what_its_paper_says(
    name: str, kind: str, dimensions: dict[str, tuple[float, float]], asked: bool
) -> None:
    found = load(name)
    assert (found.name, found.kind, found.prompt is not None) == (name, kind, asked)
    assert {d.name: (d.low, d.high) for d in found.dimensions} == dimensions


def test_all_declared_protocols_are_listed() -> None:
    assert protocol.names() == [name for name, *_ in DECLARED]


def test_alpacares_prompt_shows_both_answers_under_its_own_headings() -> None:
    prompt = load("alpacare").prompt
    assert prompt is not None
    assert "which can be subjective.  If both outputs are equal quality" in prompt.user
    (system, user) = prompt.messages({"question": "Q?", "first": "A1", "second": "B2"})
    assert system["role"] == "system"
    end = (
        "## Instruction:\nQ?\n\n## Output (a):\nA1\n\n## Output (b):\nB2\n\n"
        "## Which is the better choice, Output (a) or Output (b), or is it a Tie?"
    )
    assert user["content"].rstrip().endswith(end)


def test_a_text_in_braces_inside_an_answer_is_no_place() -> None:
    prompt = load("bentsao").prompt
    assert prompt is not None
    (message,) = prompt.messages({"question": "{answer}", "answer": "{question} {depth}"})
    assert "### 问题\n{answer}\n" in message["content"]
    assert "### 回答\n{question} {depth}" in message["content"]
    assert '{"completeness": 分数' in message["content"]


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(InputError, match=r"--protocol: no protocol 'bentsau'; did you mean bent"):
        load("bentsau")


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "ward.yaml"
    file.write_text(MARKS)
    assert load(str(file)).dimensions[0].scale == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("title: Ward", "titel: Ward", r"ward\.yaml: titel: unknown key; did you mean title\?"),
        ("low: 1", "lowest: 1", r"ward\.yaml: dimensions\.0\.lowest: unknown key; did you mean lo"),
        ("high: 5", "high: 1", r"ward\.yaml: dimensions\.0: high 1 is not above low 1"),
        ("high: 5", "high: 5, step: 0", r"ward\.yaml: dimensions\.0\.step"),
        ("name: safety", "name: Safety!", r"ward\.yaml: dimensions\.0\.name"),
        ("{answer}", "{respnse}", r"ward\.yaml: protocol: prompt\.user: nothing stands for \{resp"),
        (" {answer}", "", r"ward\.yaml: protocol: prompt\.user: \{answer\} is missing"),
        ("kind: marks", "kind: pairwise", r"dimensions belong to kind marks"),
        ("kind: marks", "kind: mark", r"ward\.yaml: kind"),
        ("guide: Mark.", "guide: Mark.\nneeds_reference: true", r"\{reference\} is missing"),
        ("guide: Mark.\n", "", r"ward\.yaml: guide: Field required"),
        ("name: ward", "name: [", r"ward\.yaml: cannot be read as YAML"),
    ],
)
def test_a_wrong_key_names_file_and_key(tmp_path: Path, old: str, new: str, told: str) -> None:
    file = tmp_path / "ward.yaml"
    assert old in MARKS
    file.write_text(MARKS.replace(old, new, 1))
    with pytest.raises(InputError, match=told):
        load(str(file))


def test_two_dimensions_of_one_name_and_a_ranking_with_a_prompt(tmp_path: Path) -> None:
    file = tmp_path / "ward.yaml"
    line = "  - {name: safety, label: Safety, low: 1, high: 5}\n"
    file.write_text(MARKS.replace(line, line + line))
    with pytest.raises(InputError, match="two dimensions have one name"):
        load(str(file))
    file.write_text(
        MARKS.replace("kind: marks", "kind: ranking").replace(f"dimensions:\n{line}", "")
    )
    with pytest.raises(InputError, match="a ranking is made by people"):
        load(str(file))


@given(
    st.integers(-5, 5),
    st.integers(1, 12),
    st.sampled_from([0.1, 0.25, 0.5, 1.0, 2.0, 3.0]),
)
def test_a_scale_holds_its_marks_and_nothing_between(low: int, width: int, step: float) -> None:
    dimension = Dimension(name="d", label="D", low=low, high=low + width, step=step)
    scale = dimension.scale
    assert scale[0] == low
    assert all(map(dimension.holds, scale))
    assert scale[-1] <= low + width < scale[-1] + step + 1e-9
    assert not any(dimension.holds(mark + step / 2) for mark in scale)
    assert not dimension.holds(low - step)
    assert not dimension.holds(float("nan"))
