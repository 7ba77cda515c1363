"""A small random Llama with a byte-level tokenizer, and an endpoint that serves it on local Ray."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from ray import serve
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from engine_under_test import ENGINE, greedy, logprobs
from serving.app import Endpoint, deploy
from serving.config import ServingConfig

SENTENCES = [
    "The patient has fever and a dry cough.",
    "Aspirin inhibits platelet aggregation.",
    "患者有发热和咳嗽。",
    "患者は発熱があります。",
    "У пациента лихорадка и кашель.",
    "Le patient présente une fièvre élevée.",
    "El paciente presenta fiebre y tos seca.",
]


@dataclass(frozen=True)
class Small:
    """The model in a folder and in this process, to compare the endpoint with."""

    folder: Path
    model: LlamaForCausalLM
    tokenizer: PreTrainedTokenizerBase

    def greedy(self, prompt: list[int], max_tokens: int) -> list[int]:
        """What ``model.generate`` answers to one prompt."""
        return greedy(self.model, prompt, max_tokens)

    def logprobs(self, tokens: list[int]) -> torch.Tensor:
        """Log-probabilities (tokens, vocabulary) by one direct forward pass."""
        return logprobs(self.model, tokens)

    def mean_state(self, tokens: list[int]) -> list[float]:
        """Mean of the last hidden states by one direct forward pass."""
        with torch.inference_mode():
            states = self.model.model(torch.tensor([tokens])).last_hidden_state[0]
        return states.mean(0).tolist()


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    folder = tmp_path_factory.mktemp("models") / "small-llama"
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<pad>", "<end>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(SENTENCES * 4, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token="<pad>",
        eos_token="<end>",
        clean_up_tokenization_spaces=False,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=32,  # vLLM's attention on CPUs knows no smaller one
            max_position_embeddings=512,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            # Large enough that greedy output is not one token for ever.
            initializer_range=0.5,
        )
    ).eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Small(folder, model, tokenizer)


@pytest.fixture(scope="session")
def served(ray_local: None) -> Iterator[None]:
    """Ends Serve, and so frees its port, after the last test that used an endpoint."""
    yield
    serve.shutdown()


@pytest.fixture(scope="session")
def config(small: Small) -> ServingConfig:
    return ServingConfig(
        model=small.folder,
        port=0,
        engine=ENGINE,
        dtype="float32",
        max_prompt_tokens=384,
        max_output_tokens=256,
        num_blocks=8,
        max_batch_tokens=128,
        api_key_environment="MEDRAY_TEST_NO_KEY",
    )


@pytest.fixture(scope="session")
def endpoint(served: None, config: ServingConfig) -> Endpoint:
    """The small model, open to all, at the root of the proxy."""
    return deploy(config)
