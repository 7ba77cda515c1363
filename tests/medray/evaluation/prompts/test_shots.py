from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from medray.errors import InputError
from medray.evaluation.benchmarks import catalogue
from medray.evaluation.benchmarks.item import Item
from medray.evaluation.prompts.frames import load_form, same_question
from medray.evaluation.prompts.shots import draw_shots

# Benchmarks with a training or validation split on disk.
TAUGHT = ("headqa_es", "frenchmedmcqa", "rumeddanet", "rumedner")


@pytest.fixture(scope="module")
def raw(real_data: Path) -> Path:
    return real_data / "evaluation" / "raw"


@pytest.mark.parametrize("name", TAUGHT)
@pytest.mark.parametrize("form", ["zero_shot", "meds_ins"])
def test_no_prompt_holds_its_own_answer_or_another_test_question(
    raw: Path, name: str, form: str
) -> None:
    declaration = catalogue.load(name)
    items = catalogue.items(declaration, raw)
    shots = draw_shots(declaration, raw, items, 3)
    asked = Counter(same_question(item) for item in items)
    frames = load_form(form)
    # Some rows of a real test set are there twice.
    once = [item for item in items if asked[same_question(item)] == 1]
    for item in random.Random(0).sample(once, 60):
        shown = shots[item.language]
        assert len(shown) == 3
        assert not {same_question(shot) for shot in shown} & asked.keys()
        text = frames.render(item, shown).text
        assert text.count(item.question) == 1
        bare = frames.render(item).text
        # The gold text stands in the prompt as often as in the question itself, or in a shot.
        shot_texts = [f"{shot.question} {' '.join(shot.options.values())}" for shot in shown]
        shot_texts += [frames.answer_of(shot) for shot in shown]
        gold = frames.answer_of(item)
        if len(gold) > 3 and not any(gold in one for one in shot_texts):
            assert text.count(gold) == bare.count(gold)


def test_shots_are_the_same_for_all_and_change_with_the_seed(raw: Path) -> None:
    declaration = catalogue.load("rumeddanet")
    items = catalogue.items(declaration, raw)
    first = draw_shots(declaration, raw, items, 2)
    assert first == draw_shots(declaration, raw, items[:5], 2)
    assert first != draw_shots(declaration, raw, items, 2, seed=1)
    assert draw_shots(declaration, raw, items, 0) == {"ru": ()}


def test_a_question_of_the_test_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "ward.yaml").write_text(
        "name: ward\nlanguages: [en]\nform: text\nmetrics: [text]\n"
        "columns: {question: q, answers: a}\n"
        "splits: {train: {files: train.jsonl}, test: {files: test.jsonl}}\n"
    )
    (tmp_path / "train.jsonl").write_text(
        '{"q": "What  is\\nfever?", "a": "leaked"}\n{"q": "What is pain?", "a": "taught"}\n'
    )
    (tmp_path / "test.jsonl").write_text('{"q": "what is fever?", "a": "leaked"}\n')
    declaration = catalogue.load(str(tmp_path / "ward.yaml"))
    items = catalogue.items(declaration, tmp_path)
    [shot] = draw_shots(declaration, tmp_path, items, 1)["en"]
    assert shot.answers == ("taught",)
    with pytest.raises(InputError, match="2 shots are wanted, 1 items of language en may be shown"):
        draw_shots(declaration, tmp_path, items, 2)


def test_without_another_split_there_are_no_shots(raw: Path) -> None:
    declaration = catalogue.load("medmcqa")  # whose validation split is the one that is scored
    item = Item("1", "en", "What?", ("A",), options={"A": "one"})
    with pytest.raises(InputError, match="shots come from a training or validation split"):
        draw_shots(declaration, raw, [item], 1)
