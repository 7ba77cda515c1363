"""Exam questions by the serving engine against lm-eval's ``hf`` backend, on the same weights."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from lm_eval.models.huggingface import HFLM
from measure import compare
from small_engine import SmallEngine, Tokens, small_engine, together

from serving.engine import ScoreJob

QUESTIONS = 64
OPTIONS = 4
BATCH_SIZES = (1, 4, 8, 16, 32, 64)

# Each question's prompt and its options, as tokens.
Exam = Sequence[tuple[Tokens, Sequence[Tokens]]]


def exam_of(small: SmallEngine, first: int, longest: int) -> Exam:
    """Cut questions of 40 to 100 tokens, with options of ``first`` to ``longest`` tokens."""
    count = len(small.texts)
    questions = []
    for number in range(QUESTIONS):
        prompt = small.texts[number % count][: 40 + (7 * number) % 61]
        options = []
        for option in range(OPTIONS):
            size = first + (3 * number + option) % (longest - first + 1)
            start = (5 * number + option) % 80  # so that options differ
            options.append(small.texts[(number + option + 1) % count][start : start + size])
        questions.append((prompt, options))
    return questions


def by_engine(small: SmallEngine, exam: Exam) -> list[list[float]]:
    """Ask as medray's benchmark does: all questions at once, a call for each."""
    calls = [
        [ScoreJob([*prompt, *option], first=len(prompt), following=False) for option in options]
        for prompt, options in exam
    ]
    answers = together(small.engine.score(jobs) for jobs in calls)
    return [[sum(score.logprobs) for score in scores] for scores in answers]


def by_harness(harness: Any, exam: Exam) -> list[list[float]]:
    """Score through ``HFLM``, below its tokenisation."""
    requests = [
        (("", ""), list(prompt), list(option)) for prompt, options in exam for option in options
    ]
    answers = [logprob for logprob, _ in harness._loglikelihood_tokens(requests, disable_tqdm=True)]
    return [answers[i : i + OPTIONS] for i in range(0, len(answers), OPTIONS)]


def fastest(contestants: dict[int, Callable[[], object]]) -> int:
    """Return the batch size that took the least CPU time in one run, after one not counted."""
    seconds = {}
    for size, run in contestants.items():
        run()
        start = time.process_time()
        run()
        seconds[size] = time.process_time() - start
    return min(seconds, key=lambda size: seconds[size])


def main() -> None:
    print(f"bench_scoring: {QUESTIONS} questions of 40 to 100 tokens x {OPTIONS} options")
    with small_engine() as small:
        harnesses = {
            size: HFLM(
                pretrained=small.model,
                tokenizer=small.tokenizer,
                batch_size=size,
                device="cpu",
                max_length=2048,
            )
            for size in BATCH_SIZES
        }
        for title, longest in (("one-letter options", 1), ("options of 3 to 12 tokens", 12)):
            exam = exam_of(small, min(3, longest), longest)
            size = fastest({size: partial(by_harness, lm, exam) for size, lm in harnesses.items()})
            pairs = zip(by_engine(small, exam), by_harness(harnesses[size], exam), strict=True)
            apart = max(
                abs(a - b) for mine, other in pairs for a, b in zip(mine, other, strict=True)
            )
            compare(
                f"{title}; log-likelihoods at most {apart:.1e} apart",
                {
                    "medray engine, score": partial(by_engine, small, exam),
                    f"lm-eval hf, batch size {size}": partial(by_harness, harnesses[size], exam),
                },
                QUESTIONS,
                "questions",
            )


if __name__ == "__main__":
    main()
