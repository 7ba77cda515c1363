"""A model behind a P-Tuning v2 prefix answers as peft's own model does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from peft import PeftModel, PrefixTuningConfig, get_peft_model
from transformers import AutoModelForCausalLM, MistralConfig, MistralForCausalLM

from engine_under_test import at_once, check_score, config_of, texts
from loras import save_lora
from medray.models.folder import PREFIX_NAME
from serving.application import build_application
from serving.engine import GenerationJob, ScoreJob
from serving.engines import load_engine
from serving.sampling import Sampling
from serving.transformers_engine import TransformersEngine

if TYPE_CHECKING:
    from conftest import Small

LENGTH = 20
PROMPTS = [[(31 * i + 7 * j) % 300 + 2 for j in range(3 + 11 * i)] for i in range(12)]
LONG = [(7 * i) % 300 + 2 for i in range(150)]
SCORES = [
    *(ScoreJob([*LONG, *option], len(LONG), 2) for option in ([20, 21], [22], [20, 23])),
    *(ScoreJob([*PROMPTS[1], option], len(PROMPTS[1]), 1, following=False) for option in (30, 31)),
    ScoreJob(PROMPTS[2], 0, 3),
    ScoreJob([17], 0, 1),
]


@dataclass(frozen=True)
class Behind:
    """A model, a prefix for it, and both in peft's coat."""

    model: Path
    prefix: Path
    peft: Any

    def greedy(self, prompt: list[int], max_tokens: int) -> list[int]:
        """Token by token without a cache: peft's generate reads sliding windows otherwise."""
        tokens = list(prompt)
        for _ in range(max_tokens):
            tokens.append(int(self.logprobs(tokens)[-1].argmax()))
        return tokens[len(prompt) :]

    def logprobs(self, tokens: list[int]) -> torch.Tensor:
        with torch.inference_mode():
            row: torch.Tensor = self.peft(torch.tensor([tokens])).logits[0].log_softmax(-1)
            return row


def behind(model_folder: Path, prefix: Path) -> Behind:
    """Make a random prefix for a model, large enough that every answer feels it."""
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype="float32")
    config = model.config
    settings = PrefixTuningConfig(
        num_virtual_tokens=LENGTH,
        num_attention_heads=config.num_attention_heads,
        token_dim=config.num_attention_heads * config.head_dim,
        num_layers=config.num_hidden_layers,
        task_type="CAUSAL_LM",
    )
    coated = get_peft_model(model, settings)
    with torch.no_grad():
        for parameter in coated.prompt_encoder.parameters():
            parameter.normal_(std=2.0)
    coated.save_pretrained(prefix)
    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype="float32")
    return Behind(model_folder, prefix, PeftModel.from_pretrained(model, prefix).eval())


def sliding_mistral(folder: Path) -> Path:
    torch.manual_seed(2)
    config = MistralConfig(
        vocab_size=400, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=16, sliding_window=48,
        max_position_embeddings=512, initializer_range=0.5, eos_token_id=1,
    )  # fmt: skip
    MistralForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["llama", "mistral, sliding window"])
def case(
    request: pytest.FixtureRequest, small: Small, tmp_path_factory: pytest.TempPathFactory
) -> Behind:
    folder = tmp_path_factory.mktemp("behind")
    model = folder / "model"
    if request.param == "llama":
        shutil.copytree(small.folder, model)
    else:
        shutil.copytree(small.folder, model, ignore=shutil.ignore_patterns("*.safetensors"))
        sliding_mistral(model)
    return behind(model, folder / "prefix-tuned")


@pytest.fixture(scope="module")
def engine(case: Behind) -> Iterator[TransformersEngine]:
    engine = TransformersEngine.load(config_of(case.model, adapter=case.prefix))
    yield engine
    engine.close()


def test_greedy_answers_are_peft_s_beside_sampled_ones(
    case: Behind, engine: TransformersEngine
) -> None:
    jobs = [GenerationJob(prompt, Sampling(0), 12) for prompt in PROMPTS]
    sampled = [GenerationJob(prompt, Sampling(1.0, seed=i), 20) for i, prompt in enumerate(PROMPTS)]
    answers = texts(engine, [*jobs, *sampled])
    for prompt, answer in zip(PROMPTS, answers, strict=False):
        expected = case.greedy(prompt, 12)
        assert answer == expected[: len(answer)]
        assert len(answer) == 12 or answer[-1] in engine.end_tokens


def test_the_prefix_is_felt(case: Behind, engine: TransformersEngine) -> None:
    plain = AutoModelForCausalLM.from_pretrained(case.model, dtype="float32").eval()
    with torch.inference_mode():
        without = plain(torch.tensor([PROMPTS[3]])).logits[0].log_softmax(-1)
    assert (without - case.logprobs(PROMPTS[3])).abs().max() > 0.1


def test_scores_are_peft_s(case: Behind, engine: TransformersEngine) -> None:
    [scores] = at_once([engine.score(SCORES)])
    for score, job in zip(scores, SCORES, strict=True):
        check_score(score, job, case.logprobs(list(job.tokens)))


def test_its_positions_are_not_there_for_prompts(case: Behind, engine: TransformersEngine) -> None:
    assert engine.context_tokens == 512 - LENGTH


def test_a_lora_goes_with_the_prefix_in_the_model_s_folder(small: Small, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(small.folder, model)
    made = behind(model, model / PREFIX_NAME)
    save_lora(small, tmp_path / "lora", 3, r=4, target_modules=["q_proj", "v_proj"])
    merged = AutoModelForCausalLM.from_pretrained(model, dtype="float32")
    merged = PeftModel.from_pretrained(merged, tmp_path / "lora").merge_and_unload()
    both = Behind(model, made.prefix, PeftModel.from_pretrained(merged, made.prefix).eval())
    engine = TransformersEngine.load(config_of(model, adapter=tmp_path / "lora"))
    try:
        [answer] = texts(engine, [GenerationJob(PROMPTS[4], Sampling(0), 8)])
        [scores] = at_once([engine.score(SCORES[:1])])
    finally:
        engine.close()
    assert answer == both.greedy(PROMPTS[4], 8)[: len(answer)]
    check_score(scores[0], SCORES[0], both.logprobs(list(SCORES[0].tokens)))


def test_what_cannot_be_served_is_told_before_the_start(small: Small, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(small.folder, model)
    made = behind(model, tmp_path / "one")
    with pytest.raises(ValueError, match="served by transformers alone"):
        build_application(config_of(model, adapter=made.prefix, engine="vllm"))
    with pytest.raises(ValueError, match="served by transformers alone"):
        load_engine(config_of(model, adapter=made.prefix, engine="vllm"))
    shutil.copytree(made.prefix, model / PREFIX_NAME)
    with pytest.raises(ValueError, match="has one already"):
        build_application(config_of(model, adapter=made.prefix))
    build_application(config_of(model))


def test_a_prefix_of_another_model_or_without_safetensors_is_refused(
    small: Small, tmp_path: Path
) -> None:
    other = sliding_mistral(tmp_path / "mistral")
    foreign = behind(other, tmp_path / "foreign").prefix
    with pytest.raises(ValueError, match="a prefix of another model"):
        TransformersEngine.load(config_of(small.folder, adapter=foreign))
    (foreign / "adapter_model.safetensors").rename(foreign / "adapter_model.bin")
    with pytest.raises(FileNotFoundError, match="safetensors only"):
        TransformersEngine.load(config_of(small.folder, adapter=foreign))
