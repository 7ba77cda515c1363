from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM

from engine_under_test import check_score, logprobs
from serving.batching import ScoringThread
from serving.engine import EngineStoppedError, ScoreJob
from serving.lora import LoraModel
from serving.scoring import EmbedJob, Scorer, Work

SIZES: dict[str, Any] = {
    "vocab_size": 300,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 12,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
# BLOOM has an attention of its own: it falls back to padded batches.
BLOOM = {"vocab_size": 300, "hidden_size": 48, "n_layer": 2, "n_head": 4, "initializer_range": 0.3}
ARCHITECTURES: dict[str, tuple[str, dict[str, Any], bool]] = {
    "llama": ("LlamaConfig", SIZES, True),
    "qwen2": ("Qwen2Config", SIZES, True),
    "qwen3": ("Qwen3Config", SIZES, True),
    "mistral": ("MistralConfig", SIZES | {"sliding_window": 7}, True),
    "glm": ("GlmConfig", SIZES, True),
    "cohere": ("CohereConfig", SIZES | {"logit_scale": 0.3}, True),
    "granite": ("GraniteConfig", SIZES | {"logits_scaling": 4.0}, True),
    "bloom": ("BloomConfig", BLOOM, False),
}

QUESTION = [5, 6, 7, 8, 9, 10, 11, 12, 13, 14]
OTHER = [5, 6, 7, 90, 91, 92]
JOBS = [
    *(ScoreJob([*QUESTION, *option], len(QUESTION), 1) for option in ([20, 21], [22], [20, 23])),
    *(ScoreJob([*OTHER, option], len(OTHER), 2, following=False) for option in (30, 31, 32, 33)),
    ScoreJob(QUESTION, 0, 3),
    ScoreJob([*range(100, 140)], 12, 2),
    ScoreJob([17], 0, 1),
    ScoreJob([18], 0, 1, following=False),
    ScoreJob([17], 0, 1),
    ScoreJob(OTHER, len(OTHER), 4),
]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def case(request: pytest.FixtureRequest) -> tuple[Scorer, Any, bool]:
    name, sizes, packs = ARCHITECTURES[request.param]
    torch.manual_seed(0)
    config = getattr(transformers, name)
    model, bare = (AutoModelForCausalLM.from_config(config(**sizes)).eval() for _ in range(2))
    bare.load_state_dict(model.state_dict())
    return Scorer(model, LoraModel(model)), bare, packs


def test_scores_equal_a_direct_forward(case: tuple[Scorer, Any, bool]) -> None:
    scorer, bare, packs = case
    assert scorer.packs == packs
    scores = scorer.run([Work(job) for job in JOBS])
    for score, job in zip(scores, JOBS, strict=True):
        check_score(score, job, logprobs(bare, job.tokens))


def test_scores_do_not_depend_on_how_passes_are_cut(
    case: tuple[Scorer, Any, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer, bare, _ = case
    monkeypatch.setattr(scorer, "_pass_tokens", 12)
    monkeypatch.setattr("serving.scoring.LOGITS_BYTES", 4 * 300 * 3)
    monkeypatch.setattr("serving.attention.CALL_OPERATIONS", {"cpu": 2e3, "cuda": 2e3})
    scores = scorer.run([Work(job) for job in JOBS])
    for score, job in zip(scores, JOBS, strict=True):
        check_score(score, job, logprobs(bare, job.tokens))


def test_an_embedding_is_the_mean_of_the_last_hidden_states(
    case: tuple[Scorer, Any, bool],
) -> None:
    scorer, bare, _ = case
    sequences = [QUESTION, OTHER, [17], [*range(100, 140)], QUESTION[:4]]
    embeddings = scorer.run([Work(EmbedJob(tokens)) for tokens in sequences])
    for tokens, embedding in zip(sequences, embeddings, strict=True):
        with torch.inference_mode():
            states = bare.base_model(torch.tensor([tokens])).last_hidden_state[0]
        assert embedding == pytest.approx(states.mean(0).tolist(), abs=1e-4)


def test_options_of_one_token_cost_one_sequence(
    case: tuple[Scorer, Any, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer, _, packs = case
    computed: list[int] = []
    inner = scorer._hidden

    def counted(sequences: Any, adapters: Any) -> Any:
        hidden, places = inner(sequences, adapters)
        computed.append(len(hidden))
        return hidden, places

    monkeypatch.setattr(scorer, "_hidden", counted)
    works = [Work(ScoreJob([*OTHER, i], len(OTHER), following=False)) for i in range(30, 34)]
    scorer.run(works)
    assert computed == [len(OTHER) if packs else 4 * len(OTHER)]


class SlowScorer:
    """Stands for a scorer whose first batch lasts until it is let go."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.started, self.go = threading.Event(), threading.Event()

    def run(self, works: Any) -> Any:
        self.batches.append(len(works))
        self.started.set()
        self.go.wait()
        if any(work.job.tokens == [13] for work in works):
            raise IndexError("13")
        return [work.job.tokens for work in works]


def submit(thread: ScoringThread, tokens: list[int]) -> Future[Any]:
    return thread.submit([Work(ScoreJob(tokens))])


def test_calls_that_come_meanwhile_make_up_the_next_batch() -> None:
    scorer = SlowScorer()
    thread = ScoringThread(scorer)  # type: ignore[arg-type]
    first = submit(thread, [1])
    scorer.started.wait()
    others = [submit(thread, [number]) for number in range(2, 6)]
    others[1].cancel()
    scorer.go.set()
    assert first.result() == [[1]]
    assert [f.result() for f in (others[0], *others[2:])] == [[[2]], [[4]], [[5]]]
    assert scorer.batches == [1, 3]
    thread.close()


def test_a_call_that_fails_fails_alone() -> None:
    scorer = SlowScorer()
    thread = ScoringThread(scorer)  # type: ignore[arg-type]
    first = submit(thread, [1])
    scorer.started.wait()
    futures = [submit(thread, [number]) for number in (12, 13, 14)]
    scorer.go.set()
    assert futures[0].result() == [[12]]
    assert futures[2].result() == [[14]]
    with pytest.raises(IndexError):
        futures[1].result()
    assert first.result() == [[1]]
    thread.close()


def test_closing_fails_the_calls_that_wait() -> None:
    scorer = SlowScorer()
    thread = ScoringThread(scorer)  # type: ignore[arg-type]
    first = submit(thread, [1])
    scorer.started.wait()
    waiting = submit(thread, [2])
    closer = threading.Thread(target=thread.close)
    closer.start()
    while thread._open:
        pass
    scorer.go.set()
    closer.join()
    assert first.result() == [[1]]
    for future in (waiting, submit(thread, [3])):
        with pytest.raises(EngineStoppedError):
            future.result()
