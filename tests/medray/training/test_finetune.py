from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage_context import stage_context

from medray.corpus.tokens.tokenizer import train_tokenizer
from medray.errors import InputError
from medray.instruct.inputs import load_entries
from medray.instruct.prompts import prompt_for, response_for
from medray.instruct.questions import Question
from medray.languages import LANGUAGES
from medray.training.examples import taught_examples
from medray.training.finetune import FinetuneConfig, check, counts, split
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
    return Sequences.of(taught_examples(questions, "mmedlm", tokenizer, maximum_tokens))


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


SEEDS = st.integers(0, 2**31)


@given(QUESTIONS, st.floats(0, 0.99), SEEDS)
def test_the_split_is_whole_exact_and_keeps_the_order(
    questions: list[Question], share: float, seed: int
) -> None:
    trained, held_out = split(questions, share, seed)
    assert len(held_out) == round(len(questions) * share)
    assert [q for q in questions if q in trained] == trained
    assert [q for q in questions if q in held_out] == held_out
    assert len(trained) + len(held_out) == len(questions)


@given(
    st.lists(st.integers(0, 9), max_size=40).map(lambda numbers: [question(n) for n in numbers]),
    st.floats(0, 0.99),
    SEEDS,
)
def test_equal_ids_lie_on_one_side_and_no_more_than_the_share_is_held_out(
    questions: list[Question], share: float, seed: int
) -> None:
    trained, held_out = split(questions, share, seed)
    assert not {q.question_id for q in trained} & {q.question_id for q in held_out}
    assert len(held_out) <= round(len(questions) * share)
    assert len(trained) + len(held_out) == len(questions)


def test_the_draw_depends_on_seed_and_id_alone() -> None:
    questions = [question(number) for number in range(64)]
    held_out = split(questions, 0.25, 7)[1]
    turned = split(questions[::-1], 0.25, 7)[1]
    assert turned == held_out[::-1]
    # Neither the last nor the first, which a file may hold of one kind.
    assert held_out not in (questions[-16:], questions[:16])
    assert split(questions, 0.25, 8)[1] != held_out
    assert split(questions, 0, 7) == (questions, [])


def test_every_data_set_is_trained_on_and_held_out(tmp_path: Path) -> None:
    """Two sets of one language: the last share of all would be the second set, whole."""
    entries = []
    for name, rows in (("general", 40), ("records", 10)):
        told = [{"instruction": f"{name} {row}", "output": "Rest."} for row in range(rows)]
        (tmp_path / f"{name}.json").write_text(json.dumps(told))
        entries.append({"language": "en", "files": str(tmp_path / f"{name}.json")})
    config = FinetuneConfig.model_validate(
        {"job": "finetune", "model": "base", "dialogues": entries, "validation_share": 0.2}
    )
    context = stage_context("finetune", tmp_path)
    found = load_entries(config.questions, config.dialogues, context)
    assert [(entry.key, len(entry.examples)) for entry in found] == [
        ("dialogues.0", 40),
        ("dialogues.1", 10),
    ]
    assert [counts([entry], 0.2, 7) for entry in found] == [(32, 8), (8, 2)]
    assert counts(found, 0.2, 7) == (40, 10)
    check(config, context)
    for share, message in (
        (0.96, "0.96 parts the examples into 0 for training and 10 held out in dialogues.1"),
        (0.01, "0.01 parts the examples into 50 for training and 0 held out"),
    ):
        changed = config.model_copy(update={"validation_share": share})
        with pytest.raises(InputError, match=f"stages.finetune.validation_share: {message}"):
            check(changed, context)


GENERAL = {"language": "en", "name": "general"}
RECORDS = {"language": "fr", "name": "records"}


@pytest.mark.parametrize(
    ("entries", "mixture", "told"),
    [
        ((GENERAL, RECORDS), {"general": 1, "records": 3}, ""),
        ((GENERAL, RECORDS), {"general": 1, "records": 0}, ""),
        ((GENERAL, RECORDS), {"en": 1, "fr": 3}, ""),
        (
            (GENERAL, RECORDS),
            {"generl": 1, "records": 3},
            "generl is neither a language nor an entry's name; did you mean general?",
        ),
        ((GENERAL, RECORDS), {"x": 1}, "an entry's name; there are general, records, en, zh"),
        (
            (GENERAL, RECORDS),
            {"general": 1, "fr": 3},
            "general names no language; weigh languages or entries, not both",
        ),
        ((GENERAL, RECORDS), {"en": 1, "ja": 3}, "nothing to train on is in ja"),
        ((GENERAL, RECORDS), {"general": 1}, "dialogues.1 would never be seen; give it a name"),
        ((GENERAL, {"language": "en"}), {"general": 1}, "dialogues.1 would never be seen"),
    ],
)
def test_a_mixture_weighs_languages_or_named_entries(
    tmp_path: Path, entries: tuple[dict[str, str], ...], mixture: dict[str, float], told: str
) -> None:
    (tmp_path / "rows.json").write_text(json.dumps([{"instruction": "a", "output": "b"}] * 8))
    given = [{"files": str(tmp_path / "rows.json")} | entry for entry in entries]
    config = FinetuneConfig.model_validate(
        {
            "job": "finetune",
            "model": "base",
            "dialogues": given,
            "validation_share": 0.25,
            "training": {"mixture": mixture},
        }
    )
    if not told:
        check(config, stage_context("finetune", tmp_path))
        return
    with pytest.raises(InputError) as raised:
        check(config, stage_context("finetune", tmp_path))
    assert str(raised.value).startswith("stages.finetune.training.mixture: ")
    assert told in str(raised.value)


def test_a_sequence_knows_its_entrys_name(tokenizer: Any) -> None:
    made = Sequences.of(
        example
        for name in ("general", "medical")
        for example in taught_examples([question()], "mmedlm", tokenizer, 512, name)
    )
    assert [made.entry_names[number] for number in made.entries] == [
        "general",
        "general",
        "medical",
        "medical",
    ]
