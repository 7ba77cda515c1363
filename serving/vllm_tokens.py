"""What vLLM is asked for, and what it answers, in the terms of an engine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy
from vllm.outputs import CompletionOutput, RequestOutput
from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams

from serving.engine import Alternatives, GenerationJob, Guide, NewToken, Score, ScoreJob
from serving.guides import grammar_of
from serving.sampling import Sampling


def generation_parameters(job: GenerationJob, stops: Sequence[int]) -> SamplingParams:
    """Return what to generate; it ends with the first of the tokens ``stops``.

    ``ValueError`` for a guide that has no grammar.
    """
    greedy = job.sampling.greedy
    return SamplingParams(
        temperature=0.0 if greedy else job.sampling.temperature,
        top_p=1.0 if greedy else job.sampling.top_p,
        seed=seed_of(job.sampling),
        max_tokens=job.max_tokens,
        ignore_eos=True,  # of vLLM's own choosing; ``stops`` says all
        stop_token_ids=list(stops),
        # Under a guide vLLM tells log-probabilities after the guide: they are scored instead.
        logprobs=None if job.guide is not None else job.top,
        structured_outputs=None if job.guide is None else structured_outputs(job.guide),
        detokenize=False,
        output_kind=RequestOutputKind.DELTA,
    )


def seed_of(sampling: Sampling) -> int:
    """Return one seed of 63 bits for a seed and a choice."""
    words = numpy.random.SeedSequence((sampling.seed, sampling.choice))
    return int(words.generate_state(1, numpy.uint64)[0] >> 1)


def structured_outputs(guide: Guide) -> StructuredOutputsParams:
    """Return a guide in vLLM's terms, JSON with the white space that our grammar gives it."""
    if guide.kind == "regex":
        return StructuredOutputsParams(regex=str(guide.value))
    if guide.kind == "choice":
        return StructuredOutputsParams(choice=list(guide.value))
    [grammar] = json.loads(grammar_of(guide))["grammars"]
    return StructuredOutputsParams(json=json.dumps(grammar["json_schema"]))


def new_tokens(output: CompletionOutput, top: int | None) -> list[NewToken]:
    """Return the tokens of one output, with what ``top`` asks for."""
    if top is None or output.logprobs is None:
        return [NewToken(token) for token in output.token_ids]
    return [
        NewToken(token, place[token].logprob, alternatives(place, top))
        for token, place in zip(output.token_ids, output.logprobs, strict=True)
    ]


def alternatives(place: Mapping[int, Any], top: int) -> Alternatives:
    """Return the ``top`` most likely tokens of one place; the token itself may be there beyond."""
    ranked = sorted((entry.rank, token) for token, entry in place.items() if entry.rank <= top)
    return [(token, place[token].logprob) for _, token in ranked]


# Scoring


def scoring_parameters(job: ScoreJob, *, from_cache: bool) -> SamplingParams:
    """Return what makes vLLM read a sequence. It cannot but generate one token after it.

    ``from_cache``: whether a beginning that is in the cache is left out, with its
    log-probabilities.
    """
    reads = job.first < len(job.tokens) and len(job.tokens) > 1
    return SamplingParams(
        temperature=0.0,
        max_tokens=1,
        ignore_eos=True,
        logprobs=job.top if job.following else None,
        prompt_logprobs=job.top if reads else None,
        skip_reading_prefix_cache=not from_cache,
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def is_whole(job: ScoreJob, output: RequestOutput) -> bool:
    """Say whether all that the job wants was computed, nothing of it left out for the cache."""
    return (output.num_cached_tokens or 0) <= max(job.first - 1, 0)


def score_of(job: ScoreJob, output: RequestOutput | None) -> Score:
    """Read a score from a whole output; None, where nothing had to be computed."""
    logprobs: list[float | None] = []
    best: list[Alternatives | None] = []
    for place in range(job.first, len(job.tokens)):
        if place == 0:
            logprobs.append(None)
            best.append(None)
            continue
        assert output is not None
        found = output.prompt_logprobs[place]
        logprobs.append(found[job.tokens[place]].logprob)
        best.append(alternatives(found, job.top))
    following: Alternatives = []
    if job.following:
        assert output is not None
        following = alternatives(output.outputs[0].logprobs[0], job.top)
    return Score(logprobs, best, following, job.first)
