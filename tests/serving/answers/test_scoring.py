"""/v1/score: boundaries as lm-evaluation-harness draws them, sums that are exact."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import processors
from transformers import AutoTokenizer

from serving.answers.scoring import encode_question
from table_engine import TableEndpoint

if TYPE_CHECKING:
    from conftest import Small

PATH = "/v1/score"
QUESTIONS: list[dict[str, Any]] = [
    {"prompt": "Fever is ", "options": ["a sign", "a dry cough", "患者"]},
    {"prompt": "患者", "options": ["有发热", "咳嗽"]},
]


@pytest.mark.parametrize("adapter", ["", "cardiology"])
def test_sums_and_means_are_exact(endpoint: TableEndpoint, adapter: str) -> None:
    model = f"table:{adapter}" if adapter else "table"
    answer = endpoint.post(PATH, model=model, questions=QUESTIONS)
    assert answer["object"] == "list"
    total = 0
    for question, data in zip(QUESTIONS, answer["data"], strict=True):
        before, afters = encode_question(
            endpoint.tokenizer, question["prompt"], question["options"], add_special_tokens=True
        )
        total += len(before)
        assert data["prompt_tokens"] == len(before)
        sums = []
        for after, option in zip(afters, data["options"], strict=True):
            expected = endpoint.logprobs([before[-1], *after], adapter)
            sums.append(sum(expected))
            total += len(after)
            assert option["token_count"] == len(after)
            assert option["logprob_sum"] == pytest.approx(sums[-1])
            assert option["logprob_mean"] == pytest.approx(sums[-1] / len(after))
            assert not option["is_greedy"]
        assert data["best"] == sums.index(max(sums))
    assert answer["usage"] == {
        "prompt_tokens": total, "completion_tokens": 0, "total_tokens": total
    }  # fmt: skip


def test_the_greedy_text_is_known_as_such(endpoint: TableEndpoint) -> None:
    # A token whose greedy follower is a token of its own in their common text too.
    pairs = [[token, *endpoint.greedy([token], 1)] for token in range(2, 400)]
    texts = [endpoint.tokenizer.decode(pair) for pair in pairs]
    encoded = endpoint.tokenizer(texts)["input_ids"]
    first, follower = next(
        pair for pair, again in zip(pairs, encoded, strict=True) if pair == again
    )
    prompt, greedy = endpoint.tokenizer.decode([first]), endpoint.tokenizer.decode([follower])
    [data] = endpoint.post(PATH, questions=[{"prompt": prompt, "options": [greedy, "xyz"]}])["data"]
    assert [option["is_greedy"] for option in data["options"]] == [True, False]
    assert data["best"] == 0


def test_a_prompt_is_shared_and_nothing_more_is_asked_for(endpoint: TableEndpoint) -> None:
    endpoint.post(PATH, questions=QUESTIONS)
    jobs = endpoint.engine.score_jobs
    assert len(jobs) == 5
    assert len({(job.first, tuple(job.tokens[: job.first])) for job in jobs}) == 2
    assert not any(job.following for job in jobs)


def test_an_empty_prompt_begins_as_a_text_does(endpoint: TableEndpoint) -> None:
    end = endpoint.tokenizer.eos_token_id
    [data] = endpoint.post(PATH, questions=[{"prompt": "", "options": ["fever"]}])["data"]
    tokens = [end, *endpoint.tokenizer.encode("fever")]
    assert data["options"][0]["logprob_sum"] == pytest.approx(sum(endpoint.logprobs(tokens)))
    assert math.isfinite(data["options"][0]["logprob_mean"])


def by_lm_eval(
    tokenizer: Any, context: str, continuation: str, add_special_tokens: bool
) -> tuple[list[int], list[int]]:
    """What ``TemplateLM`` and ``HFLM`` of lm-eval 0.4.13 do, step by step."""
    if context == "":
        alone = tokenizer.encode(continuation, add_special_tokens=False)
        first = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
        return ([first], alone) if alone[0] != first else (alone[:1], alone[1:])
    spaces = len(context) - len(context.rstrip())
    if spaces > 0:
        continuation = context[-spaces:] + continuation
        context = context[:-spaces]
    if tokenizer.bos_token is not None and context.startswith(tokenizer.bos_token):
        add_special_tokens = False
    whole = tokenizer.encode(context + continuation, add_special_tokens=add_special_tokens)
    before = tokenizer.encode(context, add_special_tokens=add_special_tokens)
    return before, whole[len(before) :]


TEXT = st.lists(st.sampled_from([*"aé患者 \n.ferv", "<begin>"]), max_size=12).map("".join)


@pytest.fixture(scope="module")
def beginning(small: Small) -> Any:
    """A tokenizer that begins texts with a token of its own, as Llama's does."""
    tokenizer = AutoTokenizer.from_pretrained(small.folder)
    tokenizer.add_special_tokens({"bos_token": "<begin>"})
    tokenizer._tokenizer.post_processor = processors.TemplateProcessing(
        single="<begin> $A", special_tokens=[("<begin>", tokenizer.bos_token_id)]
    )
    assert tokenizer.encode("a")[0] == tokenizer.bos_token_id
    return tokenizer


@settings(deadline=None, max_examples=200)
@given(
    prompt=TEXT.filter(lambda text: text == "" or text.strip()),
    options=st.lists(TEXT.filter(bool), min_size=1, max_size=4),
    special=st.booleans(),
    begins=st.booleans(),
)
def test_boundaries_are_those_of_lm_eval(
    small: Small, beginning: Any, prompt: str, options: list[str], special: bool, begins: bool
) -> None:
    tokenizer = beginning if begins else small.tokenizer
    before, afters = encode_question(tokenizer, prompt, options, add_special_tokens=special)
    for option, after in zip(options, afters, strict=True):
        assert (before, after) == by_lm_eval(tokenizer, prompt, option, special)


def test_a_merge_over_the_boundary_is_cut_at_the_prompts_own_tokens(small: Small) -> None:
    # "fe" + "ver": together they are other tokens than apart.
    before, [after] = encode_question(small.tokenizer, "fe", ["ver"], add_special_tokens=True)
    whole = small.tokenizer.encode("fever")
    assert before == small.tokenizer.encode("fe")
    assert after == whole[len(before) :]


def test_without_any_token_to_begin_with_an_empty_prompt_is_refused(small: Small) -> None:
    tokenizer = AutoTokenizer.from_pretrained(small.folder)
    tokenizer.eos_token = None
    endpoint = TableEndpoint(small.tokenizer)
    endpoint.service.tokenizer = tokenizer
    status, error = endpoint.refused(PATH, questions=[{"prompt": " ", "options": ["a"]}])
    assert status == 400
    assert "no token to begin with" in error["message"]


@pytest.mark.parametrize(
    ("questions", "message"),
    [
        ([], "at least 1 item"),
        ([{"prompt": "a", "options": []}], "at least 1 item"),
        ([{"prompt": "a", "options": [""]}], "at least 1 character"),
        ([{"prompt": "a"}], "questions.0.options: Field required"),
        ([{"prompt": "a " * 400, "options": ["b"]}], "at most 384 are taken"),
        ([{"prompt": "a", "options": ["b"], "n": 1}], "questions.0.n: unknown parameter"),
    ],
)
def test_wrong_questions_are_named(endpoint: TableEndpoint, questions: Any, message: str) -> None:
    status, error = endpoint.refused(PATH, questions=questions)
    assert (status, error["param"]) == (400, "questions")
    assert message in error["message"]
