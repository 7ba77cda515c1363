from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.corpus.tokens.tokenizer import train_tokenizer
from medray.instruct.dialogues import Dialogue, Turn
from medray.instruct.questions import Question
from medray.instruct.templates import Segment
from medray.training.examples import encode, taught_examples
from medray.training.sequences import IGNORED


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer(iter(["a heart beats; 心臓; rest for a week"]), 320)


SEGMENTS = st.lists(
    st.builds(Segment, st.text(min_size=1, max_size=9), st.booleans(), st.booleans()),
    min_size=1,
    max_size=5,
)


@given(SEGMENTS, st.integers(1, 60))
def test_what_is_learned_has_labels_and_nothing_else(
    tokenizer: Any, segments: list[Segment], maximum_tokens: int
) -> None:
    tokens, labels = encode(segments, tokenizer, 10_000, begins=True)
    assert len(tokens) == len(labels)
    assert all(label in (IGNORED, token) for token, label in zip(tokens, labels, strict=True))
    ends = [tokenizer.eos_token_id]
    expected: list[int] = []
    for segment in segments:
        own = tokenizer(segment.text, add_special_tokens=False)["input_ids"]
        if segment.learned:
            expected += own + (ends if segment.ends else [])
    assert [label for label in labels if label != IGNORED] == expected
    cut = encode(segments, tokenizer, maximum_tokens, begins=True)
    assert cut == (tokens[-maximum_tokens:], labels[-maximum_tokens:])


def test_a_dialogue_is_taught_each_of_its_answers(tokenizer: Any) -> None:
    turns = (
        Turn(instruction="Cough?", output="Rest."),
        Turn(instruction="How long?", output="A week."),
    )
    dialogue = Dialogue(dialogue_id="d1", language="en", turns=turns)
    (example,) = taught_examples([dialogue], "alpaca", tokenizer, 4096)
    learned = [label for label in example.labels if label != IGNORED]
    assert tokenizer.decode(learned) == "Rest.</s>A week.</s>"
    assert (example.language, example.name) == ("en", "d1")
    text = tokenizer.decode(example.tokens)
    assert text.index("Rest.</s>") < text.index("How long?") < text.index("A week.</s>")


ROLES = (
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}|{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


def test_a_question_is_taught_in_the_tokenizers_own_template(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer, "chat_template", ROLES)
    question = Question(
        question_id="q1",
        language="en",
        question="Which organ beats?",
        options={"A": "heart", "B": "skin"},
        answers=("A",),
        rationale="A heart beats.",
    )
    examples = taught_examples([question], "chat", tokenizer, 4096)
    assert [example.name for example in examples] == ["q1", "q1"]
    texts = [tokenizer.decode(example.tokens) for example in examples]
    assert all(text.startswith("[user]You're a English doctor") for text in texts)
    assert all("Which organ beats? ###Options: A. heart B. skin|[assistant]" in t for t in texts)
    learned = [[label for label in e.labels if label != IGNORED] for e in examples]
    assert [tokenizer.decode(labels) for labels in learned] == [
        "###Rationale: A heart beats.\n###Answer: OPTION A IS CORRECT.|",
        "###Answer: OPTION A IS CORRECT.|",
    ]
