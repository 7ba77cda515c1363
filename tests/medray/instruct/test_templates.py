from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from medray.corpus.tokens.tokenizer import train_tokenizer
from medray.errors import InputError
from medray.instruct.dialogues import Dialogue, Turn
from medray.instruct.templates import (
    Template,
    chat_segments,
    filled,
    load_template,
    template_names,
)

TURNS = (
    Turn(instruction="Cough?", output="Rest."),
    Turn(instruction="How long?", output="A week."),
)
WITH_INPUT = Turn(instruction="Name it.", input="a rash", output="Eczema.")


def dialogue(*turns: Turn, system: str = "", shots: tuple[Turn, ...] = ()) -> Dialogue:
    return Dialogue(dialogue_id="d", language="en", system=system, shots=shots, turns=turns)


def whole(template: str, asked: Dialogue) -> str:
    return "".join(segment.text for segment in load_template(template).segments(asked))


def learned(template: str, asked: Dialogue) -> list[str]:
    return [s.text for s in load_template(template).segments(asked) if s.learned]


@pytest.mark.parametrize("name", [name for name in template_names() if name != "chat"])
def test_every_template_teaches_the_answers_and_nothing_else(name: str) -> None:
    assert learned(name, dialogue(*TURNS)) == ["Rest.", "A week."]
    text = whole(name, dialogue(*TURNS))
    assert [text.count(part) for part in ("Cough?", "How long?")] == [1, 1]
    assert "{" not in text


def test_alpaca_is_the_published_text() -> None:
    assert whole("alpaca", dialogue(WITH_INPUT)) == (
        "Below is an instruction that describes a task, paired with an input that provides further "
        "context. Write a response that appropriately completes the request.\n\n"
        "### Instruction:\nName it.\n\n### Input:\na rash\n\n### Response:Eczema."
    )
    assert "Input" not in whole("alpaca", dialogue(TURNS[0]))


def test_bentsaos_is_the_published_text() -> None:
    turn = Turn(instruction="发热怎么办？", output="多喝水。")
    assert whole("bentsao", dialogue(turn)) == (
        "下面是一个问题，运用医学知识来正确回答提问.\n### 问题:\n发热怎么办？\n### 回答:\n多喝水。"
    )


def test_chatglm_counts_its_rounds() -> None:
    assert whole("chatglm", dialogue(*TURNS)) == (
        "[Round 1]\n问：Cough?\n答：Rest.\n[Round 2]\n问：How long?\n答：A week."
    )


def test_meds_ins_without_shots_is_the_bare_input_after_the_definition() -> None:
    organ = Turn(instruction="nephritis", output="kidney")
    expected = "Name the organ.\nnephritiskidney"
    assert whole("meds_ins", dialogue(organ, system="Name the organ.")) == expected
    row = Turn(instruction="Name the organ.", input="nephritis", output="kidney")
    assert whole("meds_ins", dialogue(row)) == expected


def test_meds_ins_shows_its_shots_before_the_definition() -> None:
    shots = (Turn(instruction="hepatitis", output="liver"),) * 2
    asked = dialogue(
        Turn(instruction="nephritis", output="kidney"), system="Name the organ.", shots=shots
    )
    shot = "Input:\nhepatitis\n\nOutput:\nliver\n"
    assert whole("meds_ins", asked) == (
        f"{shot}\n\n{shot}\n\nName the organ.Please learn from the few-shot cases to see what "
        "content you have to output.\nInput:\nnephritis\nOutput:\nkidney"
    )
    assert learned("meds_ins", asked) == ["kidney"]


SHIPPED = [name for name in template_names() if name != "chat"]
TEXT = st.sampled_from(["fever", "cough", "a {place}", ""])


@given(
    st.sampled_from(SHIPPED),
    st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=3),
    st.lists(st.tuples(TEXT, TEXT), max_size=2),
    TEXT,
)
def test_everything_given_is_written_or_refused(
    name: str, asked: list[tuple[str, str]], shown: list[tuple[str, str]], system: str
) -> None:
    turns, shots = (
        tuple(
            Turn(instruction=f"{kind}{n} {text}", input=given and f"given{kind}{n}", output="Rest.")
            for n, (text, given) in enumerate(rows)
        )
        for kind, rows in (("asked", asked), ("shown", shown))
    )
    told = dialogue(*turns, system=system, shots=shots)
    parts = [system, *(part for turn in turns + shots for part in (turn.instruction, turn.input))]
    if name == "bentsao" and not shots:
        parts = [part for part in parts if not part.startswith("given")]
    try:
        written = whole(name, told)
    except InputError as error:
        assert str(error).startswith(f"d: template {name} has no place for ")
        assert shots or any(turn.input for turn in turns)
    else:
        assert all(part in written for part in parts)


@pytest.mark.parametrize(
    ("name", "turns", "shots", "told"),
    [
        ("chatglm", (WITH_INPUT,), (), "chatglm has no place for input; chat, alpaca, .* have"),
        ("bentsao_literature", (WITH_INPUT,), (), "bentsao_literature has no place for input"),
        ("meds_ins", (TURNS[0], WITH_INPUT), (), "meds_ins has no place for input"),
        ("alpaca", TURNS, TURNS, "alpaca has no place for shots; chat, meds_ins have"),
        ("bentsao", TURNS, TURNS, "bentsao has no place for shots"),
        ("meds_ins", TURNS, (WITH_INPUT,), "meds_ins has no place for input; chat have"),
        ("bentsao", (WITH_INPUT.model_copy(update={"instruction": ""}),), (), "place for input"),
    ],
)
def test_what_has_no_place_is_told(
    name: str, turns: tuple[Turn, ...], shots: tuple[Turn, ...], told: str
) -> None:
    with pytest.raises(InputError, match=f"^d: template .*{told}"):
        whole(name, dialogue(*turns, shots=shots))


def test_an_input_has_its_place_in_every_turn() -> None:
    text = whole("alpaca", dialogue(TURNS[0], WITH_INPUT))
    assert text.endswith(
        "\n\n### Instruction:\nName it.\n\n### Input:\na rash\n\n### Response:Eczema."
    )
    assert whole("plain", dialogue(TURNS[0], WITH_INPUT)) == "Cough?Rest.\nName it.\na rashEczema."


def test_bentsao_leaves_an_input_out_as_published() -> None:
    assert whole("bentsao", dialogue(WITH_INPUT)) == (
        "下面是一个问题，运用医学知识来正确回答提问.\n### 问题:\nName it.\n### 回答:\nEczema."
    )


@given(st.text(), st.text())
def test_braces_in_a_text_are_text(instruction: str, output: str) -> None:
    assert filled("<{instruction}|{output}>", instruction=instruction, output=output) == (
        f"<{instruction}|{output}>"
    )
    assert filled("{instruction}", instruction="{output}", output="x") == "{output}"


def test_an_unknown_template_or_place_is_told() -> None:
    with pytest.raises(InputError, match=r"template alpacca: unknown; there are .*bentsao"):
        load_template("alpacca")
    with pytest.raises(ValidationError, match="unknown places instrution"):
        Template(turn="{instrution}", next_turn="{instruction}")
    with pytest.raises(ValidationError, match="no place for the instruction"):
        Template(turn="{input}", next_turn="{instruction}")


CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# As some models' templates do: thoughts of earlier answers are taken out.
FORGETFUL = (
    "{% for m in messages %}{{ m.role }}: "
    "{{ m.content if loop.last or m.role == 'user' else '' }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer(iter(["cough and fever"]), 300)


def test_the_tokenizers_own_template(tokenizer: Any) -> None:
    tokenizer.chat_template = CHATML
    found = list(chat_segments(dialogue(*TURNS, system="Be brief."), tokenizer))
    assert [s.text for s in found if s.learned] == ["Rest.<|im_end|>\n", "A week.<|im_end|>\n"]
    assert found[0].text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nCough?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert "".join(s.text for s in found).count("Cough?") == 1


def test_a_template_that_rewrites_what_was_said_is_refused(tokenizer: Any) -> None:
    tokenizer.chat_template = FORGETFUL
    with pytest.raises(InputError, match="changes earlier messages as others follow"):
        list(chat_segments(dialogue(*TURNS), tokenizer))
    tokenizer.chat_template = None
    with pytest.raises(InputError, match="has no chat template"):
        list(chat_segments(dialogue(*TURNS), tokenizer))
