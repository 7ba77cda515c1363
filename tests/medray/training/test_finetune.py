from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.corpus.tokens.tokenizer import train_tokenizer
from medray.instruct.prompts import prompt_for, response_for
from medray.instruct.questions import Question
from medray.languages import LANGUAGES
from medray.training.examples import question_examples
from medray.training.finetune import split
from medray.training.sequences import IGNORED, Sequences


def question(number: int = 0, code: str = "en", rationale: str = "Scurvy lacks it.") -> Question:
    return Question(
        question_id=f"{code}{number}",
        language=code,
        question=f"Question {number}: which vitamin? 心臓",
        options={"A": "Vitamin A", "B": "Vitamin C"},
        answers=("B",),
        rationale=rationale,
    )


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    texts = [prompt_for(question(), rationale=True), response_for(question(), rationale=True)]
    return train_tokenizer(iter(texts), 400)


def encoded(questions: list[Question], tokenizer: Any, maximum_tokens: int) -> Sequences:
    return Sequences.of(question_examples(questions, tokenizer, maximum_tokens))


def rows(sequences: Sequences) -> list[tuple[list[int], list[int]]]:
    bounds = zip(sequences.offsets, sequences.offsets[1:], strict=False)
    return [(sequences.tokens[a:b].tolist(), sequences.labels[a:b].tolist()) for a, b in bounds]


def learned(labels: list[int], tokenizer: Any) -> str:
    text: str = tokenizer.decode([label for label in labels if label != IGNORED])
    return text


def test_a_question_with_a_rationale_is_taught_in_both_forms(tokenizer: Any) -> None:
    found = rows(encoded([question()], tokenizer, 4096))
    assert len(found) == 2
    for (tokens, labels), rationale in zip(found, (True, False), strict=True):
        prompt = prompt_for(question(), rationale=rationale)
        response = response_for(question(), rationale=rationale)
        assert tokenizer.decode(tokens) == f"{prompt}{response}</s>"
        assert learned(labels, tokenizer) == f"{response}</s>"


def test_a_question_without_a_rationale_is_taught_in_one(tokenizer: Any) -> None:
    found = rows(encoded([question(rationale="")], tokenizer, 4096))
    assert [learned(labels, tokenizer) for _, labels in found] == [
        "###Answer: OPTION B IS CORRECT.</s>"
    ]


def test_only_the_response_has_labels_and_they_are_its_tokens(tokenizer: Any) -> None:
    for tokens, labels in rows(encoded([question(0), question(1)], tokenizer, 4096)):
        first = labels.index(next(label for label in labels if label != IGNORED))
        assert set(labels[:first]) == {IGNORED}
        assert labels[first:] == tokens[first:]


@given(maximum_tokens=st.integers(16, 600))
def test_a_long_example_loses_its_beginning_and_keeps_the_answer(
    tokenizer: Any, maximum_tokens: int
) -> None:
    long = question(rationale="Scurvy lacks it. " * 10)
    for tokens, labels in rows(encoded([long], tokenizer, maximum_tokens)):
        assert len(tokens) == len(labels) <= maximum_tokens
        assert labels[-1] == tokenizer.eos_token_id
        tail = tokenizer.decode(tokens[-16:])
        assert learned(labels, tokenizer).endswith(tail) or tail.endswith(
            learned(labels, tokenizer)
        )
        assert "CORRECT.</s>" in tokenizer.decode(tokens)


def test_a_cut_prompt_keeps_the_response_header(tokenizer: Any) -> None:
    whole = rows(encoded([question(rationale="")], tokenizer, 4096))[0]
    tokens, labels = rows(encoded([question(rationale="")], tokenizer, len(whole[0]) - 20))[0]
    assert tokens == whole[0][20:]
    assert labels == whole[1][20:]
    assert "### Response:###Answer" in tokenizer.decode(tokens)


def test_a_cut_rationale_still_ends_in_the_whole_answer(tokenizer: Any) -> None:
    answer = len(tokenizer("###Answer: OPTION B IS CORRECT.")["input_ids"]) + 1
    long = question(rationale="Scurvy lacks it. " * 40)
    tokens, _ = rows(encoded([long], tokenizer, answer + 30))[0]
    assert tokenizer.decode(tokens).endswith("###Answer: OPTION B IS CORRECT.</s>")


QUESTIONS = st.lists(st.sampled_from(sorted(LANGUAGES)), max_size=30).map(
    lambda codes: [question(number, code) for number, code in enumerate(codes)]
)


@given(QUESTIONS, st.floats(0, 0.99))
def test_the_split_is_disjoint_and_whole(questions: list[Question], share: float) -> None:
    trained, held_out = split(questions, share)
    ids = [q.question_id for q in trained + held_out]
    assert sorted(ids) == sorted(q.question_id for q in questions)
    assert len(set(ids)) == len(ids)


@given(QUESTIONS, st.floats(0, 0.99))
def test_the_split_takes_the_share_of_each_language(
    questions: list[Question], share: float
) -> None:
    _, held_out = split(questions, share)
    for code in LANGUAGES:
        count = sum(q.language == code for q in questions)
        assert abs(sum(q.language == code for q in held_out) - share * count) <= 0.5


def test_the_split_holds_out_the_last_and_is_repeatable() -> None:
    questions = [question(number) for number in range(8)]
    trained, held_out = split(questions, 0.25)
    assert (trained, held_out) == (questions[:6], questions[6:])
    assert split(questions, 0.25) == (trained, held_out)
    assert split(questions, 0) == (questions, [])
