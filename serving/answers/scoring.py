"""Answers of /v1/score: the likelihood of options after a prompt, cut into tokens as lm-eval cuts.

https://github.com/EleutherAI/lm-evaluation-harness: ``TemplateLM._encode_pair``
"""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from serving.engine import Score, ScoreJob
from serving.protocol import (
    OptionScore,
    Question,
    QuestionScore,
    RequestError,
    ScoreRequest,
    Scores,
    Usage,
)
from serving.service import Service


def encode_question(
    tokenizer: PreTrainedTokenizerBase,
    prompt: str,
    options: Sequence[str],
    *,
    add_special_tokens: bool,
) -> tuple[list[int], list[list[int]]]:
    """Return the tokens of the prompt, and of each option after it (none where they merge).

    Blanks at the prompt's end move to the option's beginning, where most tokenizers keep them. An
    option's tokens are those of both texts together from where the prompt's own end. A prompt that
    begins with the token that begins texts gets no second one. An empty prompt is that token, or
    the one that ends texts; ``ValueError`` without both.
    """
    kept = prompt.rstrip()
    moved = prompt[len(kept) :]
    begin = tokenizer.bos_token_id
    begin = tokenizer.eos_token_id if begin is None else begin
    if not kept and begin is None:
        raise ValueError("the prompt is empty and the tokenizer has no token to begin with")
    begun = not kept or (begin is not None and kept.startswith(tokenizer.decode([begin])))
    texts = [kept, *[kept + moved + option for option in options]]
    before, *wholes = tokenizer(texts, add_special_tokens=add_special_tokens and not begun)[
        "input_ids"
    ]
    if kept:
        return before, [whole[len(before) :] for whole in wholes]
    return [begin], [whole[1:] if whole[:1] == [begin] else whole for whole in wholes]


async def score(service: Service, request: ScoreRequest) -> Scores:
    """Score all options of all questions at once; the engine reads a shared prompt once."""
    adapter = service.adapter_of(request.model)
    prompts: list[list[int]] = []
    jobs: list[ScoreJob] = []
    for place, question in enumerate(request.questions):
        before, afters = _tokens(service, request, place, question)
        prompts.append(before)
        jobs += [
            ScoreJob(before + after, len(before), adapter=adapter, following=False)
            for after in afters
        ]
    total = sum(map(len, prompts)) + sum(len(job.tokens) - job.first for job in jobs)
    service.metrics.prompt_accepted(total)
    rows = iter(zip(jobs, await service.score(jobs), strict=True))
    data = [
        _question_score(index, [next(rows) for _ in question.options], len(prompts[index]))
        for index, question in enumerate(request.questions)
    ]
    used = Usage(completion_tokens=0, prompt_tokens=total, total_tokens=total)
    return Scores(data=data, model=request.model, usage=used)


def _tokens(
    service: Service, request: ScoreRequest, place: int, question: Question
) -> tuple[list[int], list[list[int]]]:
    try:
        before, afters = encode_question(
            service.tokenizer,
            question.prompt,
            question.options,
            add_special_tokens=request.add_special_tokens,
        )
    except ValueError as error:
        raise RequestError(f"questions.{place}.prompt: {error}", "questions") from None
    most = min(service.limits.max_prompt_tokens, service.engine.context_tokens)
    for number, after in enumerate(afters):
        where = f"questions.{place}.options.{number}"
        if not after:
            raise RequestError(f"{where}: no token of its own after this prompt", "questions")
        if len(before) + len(after) > most:
            raise RequestError(
                f"{where}: with its prompt {len(before) + len(after)} tokens; "
                f"at most {most} are taken",
                "questions",
                code="context_length_exceeded",
            )
    return before, afters


def _question_score(
    index: int, rows: Sequence[tuple[ScoreJob, Score]], prompt_tokens: int
) -> QuestionScore:
    options = [_option_score(number, job, score) for number, (job, score) in enumerate(rows)]
    best = max(options, key=lambda option: option.logprob_sum).index
    return QuestionScore(index=index, best=best, options=options, prompt_tokens=prompt_tokens)


def _option_score(index: int, job: ScoreJob, score: Score) -> OptionScore:
    skipped = job.first - score.first  # an engine may tell more than it was asked
    logprobs = [value for value in score.logprobs[skipped:] if value is not None]
    best = [places[0][0] for places in score.alternatives[skipped:] if places is not None]
    own = list(job.tokens[job.first :])
    assert len(logprobs) == len(own)  # the prompt stands before them
    return OptionScore(
        index=index,
        logprob_sum=sum(logprobs),
        logprob_mean=sum(logprobs) / len(logprobs),
        token_count=len(own),
        is_greedy=best == own,
    )
