from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from serving.engine import GenerationJob, Guide
from serving.guides import GuideCompiler
from serving.sampling import Sampling
from serving.transformers_engine import TransformersEngine

TEXTS = [
    '{"name": "fever", "grade": 3, "signs": ["cough", "rash"], "sure": true}',
    "The answer is A. The answer is B. 患者有发热。 У пациента жар. 12.5 mg/kg",
] * 4
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "grade": {"type": "integer", "minimum": 0, "maximum": 5},
        "signs": {"type": "array", "items": {"enum": ["cough", "rash"]}, "maxItems": 3},
        "sure": {"type": "boolean"},
    },
    "required": ["name", "grade", "sure"],
    "additionalProperties": False,
}
CHOICES = ("A", "B", 'yes, "indeed"', "да", "患者有发热", "back\\slash", "A/B")
REGEX = r"[A-E]\. [a-zé]{2,6}( [0-9]+(\.[0-9])? mg)?"


def byte_level() -> PreTrainedTokenizerBase:
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=["<end>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(TEXTS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<end>", pad_token="<pad>")


def sentencepiece_like() -> PreTrainedTokenizerBase:
    """As Llama 2's: words begin with a low line, what is not in the vocabulary falls to bytes."""
    raw = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first")
    raw.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(content=" ", left=1),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<unk>", "<end>", "<pad>", *(f"<0x{i:02X}>" for i in range(256))],
        show_progress=False,
    )
    raw.train_from_iterator(TEXTS, trainer)
    # The trainer takes the bytes as special tokens only; in such vocabularies they are plain ones.
    trained = json.loads(raw.to_str())
    trained["added_tokens"] = trained["added_tokens"][:3]
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(trained)),
        unk_token="<unk>",
        eos_token="<end>",
        pad_token="<pad>",
    )


@pytest.fixture(scope="module", params=[byte_level, sentencepiece_like])
def served(
    request: pytest.FixtureRequest,
) -> Iterator[tuple[TransformersEngine, PreTrainedTokenizerBase]]:
    tokenizer = request.param()
    torch.manual_seed(1)
    model = LlamaForCausalLM(
        LlamaConfig(
            # More rows than tokens, as many models have.
            vocab_size=len(tokenizer) + 37,
            hidden_size=48,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=512,
            eos_token_id=tokenizer.eos_token_id,
            initializer_range=0.4,
        )
    ).eval()
    engine = TransformersEngine(model, num_blocks=16, max_batch_tokens=128, tokenizer=tokenizer)
    yield engine, tokenizer
    engine.close()


async def answer(engine: TransformersEngine, job: GenerationJob) -> list[Any]:
    return [new async for tokens in engine.generate(job) for new in tokens]


def answers(engine: TransformersEngine, jobs: list[GenerationJob]) -> list[list[Any]]:
    async def gather() -> list[Any]:
        return await asyncio.gather(*(answer(engine, job) for job in jobs))

    return asyncio.run(gather())


def matches(guide: Guide, text: str) -> bool:
    if guide.kind == "choice":
        return text in guide.value
    if guide.kind == "regex":
        return re.fullmatch(str(guide.value), text) is not None
    jsonschema.validate(json.loads(text), json.loads(str(guide.value)))
    return True


@pytest.mark.parametrize(
    "guide",
    [
        Guide("json_schema", json.dumps(SCHEMA)),
        Guide("regex", REGEX),
        Guide("choice", CHOICES),
    ],
    ids=lambda guide: guide.kind,
)
def test_outputs_always_match(served: Any, guide: Guide) -> None:
    engine, tokenizer = served
    jobs = [
        GenerationJob(
            [30 + i, 40, 50], Sampling(temperature, 0.95, seed=i), 200, guide=guide, top=2
        )
        for i in range(12)
        for temperature in (0.0, 1.0, 3.0)
    ]
    free = GenerationJob([30, 40, 50], Sampling(0), 20, top=2)
    *guided, unguided = answers(engine, [*jobs, free])
    texts = set()
    for new in guided:
        tokens = [token.token for token in new]
        assert tokens[-1] in engine.end_tokens
        assert not engine.end_tokens & set(tokens[:-1])
        text = tokenizer.decode(tokens[:-1], skip_special_tokens=False)
        assert matches(guide, text), text
        texts.add(text)
    assert len(texts) > 3
    # A neighbour's guide changes nothing, and the model's own probabilities are told.
    [alone] = answers(engine, [free])
    assert [new.token for new in unguided] == [new.token for new in alone]
    own = [value for _, value in guided[0][0].alternatives]
    assert own == pytest.approx([value for _, value in unguided[0].alternatives], abs=1e-4)


def test_max_tokens_may_cut(served: Any) -> None:
    engine, _ = served
    [whole, cut] = answers(
        engine,
        [
            GenerationJob([30], Sampling(0), size, guide=Guide("json_schema", json.dumps(SCHEMA)))
            for size in (200, 5)
        ],
    )
    assert cut == whole[:5]


def test_a_guide_ends_a_model_that_has_no_end_token(served: Any) -> None:
    _, tokenizer = served
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            eos_token_id=None,
        )
    )
    model.generation_config.eos_token_id = None
    engine = TransformersEngine(model, num_blocks=4, max_batch_tokens=64, tokenizer=tokenizer)
    try:
        guide = Guide("regex", "[AB] ends")
        [new] = answers(engine, [GenerationJob([30], Sampling(0), 50, guide=guide)])
    finally:
        engine.close()
    text = tokenizer.decode([token.token for token in new], skip_special_tokens=True)
    assert matches(guide, text)


@pytest.mark.parametrize(
    "guide",
    [
        Guide("regex", "(unclosed"),
        Guide("regex", r"(?<=a)b"),
        Guide("json_schema", "{"),
        Guide("json_schema", '{"type": "nothing"}'),
        Guide("json_schema", '{"type": "object", "$ref": "http://example.org/x"}'),
        Guide("choice", ()),
        Guide("choice", ("a", "")),
    ],
    ids=str,
)
def test_a_guide_that_cannot_be_compiled_is_told_before_the_first_token(
    served: Any, guide: Guide
) -> None:
    engine, _ = served
    with pytest.raises(ValueError, match=r"."):
        answers(engine, [GenerationJob([30], Sampling(0), 5, guide=guide)])
    assert engine.healthy()


def test_guides_need_a_tokenizer() -> None:
    with pytest.raises(ValueError, match="fast tokenizer"):
        GuideCompiler(None, 100, [1]).compile(Guide("regex", "a"))
