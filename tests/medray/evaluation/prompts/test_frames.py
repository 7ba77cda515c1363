from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from medray.errors import InputError
from medray.evaluation.benchmarks import catalogue
from medray.evaluation.benchmarks.item import Item
from medray.evaluation.prompts.frames import form_names, load_form
from medray.evaluation.prompts.mmedlm import NAME
from medray.languages import LANGUAGES

OPTIONS = {"A": "the heart.", "B": "the liver"}
CHOICE = Item("1", "en", "Which organ?", ("A",), "choice", OPTIONS)
SEVERAL = Item("2", "fr", "Quels organes ?", ("A", "B"), "choices", OPTIONS)
ENTITIES = Item("3", "en", "Aspirin was given.", (), "entities", instruction="List all drugs.")
TEXT = Item("4", "zh", "为什么？", ("因为甲。", "因为乙。"), "text")


def test_zero_shot_asks_in_the_item_s_language() -> None:
    form = load_form("zero_shot")
    assert form.render(SEVERAL).text == (
        "Une ou plusieurs réponses sont exactes. Répondez par les lettres de toutes les bonnes "
        "réponses, séparées par des virgules.\n\nQuels organes ?\nA. the heart.\nB. the liver\n"
        "Réponse :"
    )
    assert form.render(TEXT).text == "为什么？\n答案："
    assert form.render(ENTITIES).text == "List all drugs.\n\nAspirin was given.\nAnswer:"
    number = Item("n", "ja", "いくつか。", ("7",), "choices")
    assert form.render(number).text == "数字だけで答えてください。\n\nいくつか。\n答え："


def test_every_language_and_form_has_its_words() -> None:
    form = load_form("zero_shot")
    assert set(form.headers) == set(form.nothing) == set(LANGUAGES)
    assert {"choice", "choices", "label", "labels", "number"} == set(form.instructions)
    assert all(set(words) == set(LANGUAGES) for words in form.instructions.values())


def test_shots_stand_between_instruction_and_question() -> None:
    text = load_form("zero_shot").render(CHOICE, [SEVERAL, CHOICE]).text
    assert text == (
        "Answer with the letter of the right option.\n\n"
        "Quels organes ?\nA. the heart.\nB. the liver\nRéponse : A, B\n\n"
        "Which organ?\nA. the heart.\nB. the liver\nAnswer: A\n\n"
        "Which organ?\nA. the heart.\nB. the liver\nAnswer:"
    )


def test_meds_ins_puts_shots_and_definition_into_the_system() -> None:
    form = load_form("meds_ins")
    bare = form.render(ENTITIES)
    assert (bare.system, bare.user) == ("List all drugs.", "Aspirin was given.")
    shown = form.render(ENTITIES, [ENTITIES, CHOICE])
    assert shown.system == (
        "Input:\nAspirin was given.\n\nOutput:\nThere is no related entity.\n\n\n"
        "Input:\nWhich organ?\nOptions: A: the heart.\tB: the liver\n\n"
        "Output:\nThe right answer is A: the heart.\n\n\n"
        "List all drugs.Please learn from the few-shot cases to see what content you have to "
        "output.\n"
    )
    assert shown.user == "Input:\nAspirin was given.\nOutput:\n"
    assert [m["role"] for m in shown.messages()] == ["system", "user"]
    assert [m["role"] for m in load_form("zero_shot").render(CHOICE).messages()] == ["user"]


def test_options_that_the_question_lists_are_not_listed_again() -> None:
    item = Item("1", "en", "Which? A: x B: y", ("A",), "choice", OPTIONS, options_in_question=True)
    assert load_form("meds_ins").render(item).text == "Which? A: x B: y"


def test_a_form_that_cannot_show_an_answer_says_so() -> None:
    with pytest.raises(InputError, match="medmcqa: it cannot show an answer of form text"):
        load_form("medmcqa").answer_of(TEXT)


def test_every_declared_benchmark_names_a_form_there_is() -> None:
    known = {*form_names(), NAME}
    assert {catalogue.load(name).prompt for name in catalogue.names()} <= known


def test_a_form_of_your_own(tmp_path: Path) -> None:
    file = tmp_path / "ward.yaml"
    file.write_text('source: us\nuser: "Q: {question} {options}"\nbetween_options: " "\n')
    form = load_form(str(file))
    assert form.render(CHOICE).text == "Q: Which organ? A. the heart. B. the liver"
    file.write_text('source: us\nuser: "Q"\nuserr: x\n')
    with pytest.raises(InputError, match="userr: unknown key; did you mean user"):
        load_form(str(file))
    with pytest.raises(InputError, match="no prompt form 'zero_shto'; did you mean zero_shot"):
        load_form("zero_shto")


def harness_module(name: str) -> ModuleType:
    """Return a module beside a task of lm-evaluation-harness, without its dependencies."""
    found = importlib.util.find_spec("lm_eval")
    if found is None or found.origin is None:
        pytest.skip("pip install lm-eval")
    file = Path(found.origin).parent / "tasks" / name
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_prompts_equal_lm_evaluation_harness_s_on_every_real_question(real_data: Path) -> None:
    raw = real_data / "evaluation" / "raw"
    medqa = harness_module("medqa/preprocess_medqa.py")
    items = catalogue.items(catalogue.load("medqa"), raw)
    form = load_form("medqa_4options")
    file = raw / "medqa_us_4opt" / "phrases_no_exclude_test.jsonl"
    for item, line in zip(items, file.read_text().splitlines(), strict=True):
        row = json.loads(line)
        # One question begins with a blank, which the harness keeps.
        doc = {"sent1": row["question"].strip()}
        doc |= {f"ending{n}": row["options"][letter] for n, letter in enumerate("ABCD")}
        assert form.render(item).text == medqa.doc_to_text(doc)
    medmcqa = harness_module("medmcqa/utils_medmcqa.py")
    items = catalogue.items(catalogue.load("medmcqa"), raw)
    rows = [json.loads(line) for line in (raw / "medmcqa" / "dev.json").read_text().splitlines()]
    for item, row in zip(items, rows, strict=True):
        doc = row | {"question": row["question"].strip()}
        assert load_form("medmcqa").render(item).text == medmcqa.doc_to_text(doc)
    pubmedqa = harness_module("pubmedqa/preprocess_pubmedqa.py")
    docs = json.loads((raw / "pubmedqa" / "ori_pqal.json").read_text())
    for item in catalogue.items(catalogue.load("pubmedqa"), raw):
        text = load_form("pubmedqa").render(item).text
        assert text == pubmedqa.doc_to_text(docs[item.item_id])


def test_mmlu_s_prompts_are_the_harness_s(real_data: Path) -> None:
    raw = real_data / "evaluation" / "raw"
    items = catalogue.items(catalogue.load("mmlu_medical"), raw)
    with (raw / "mmlu_medical" / "anatomy_test.csv").open(newline="", encoding="utf-8") as file:
        question, a, b, c, d, _ = next(csv.reader(file))
    assert load_form("mmlu").render(items[0]).text == (
        "The following are multiple choice questions (with answers) about anatomy.\n\n"
        f"{question.strip()}\nA. {a}\nB. {b}\nC. {c}\nD. {d}\nAnswer:"
    )
