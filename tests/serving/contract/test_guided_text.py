"""What every engine's guides must do; run with the engine that MEDRAY_TEST_ENGINE names."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

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

from engine_under_test import LOGPROB_ERROR, answers, config_of, loaded, logprobs, texts
from serving.engine import Engine, GenerationJob, Guide
from serving.sampling import Sampling

if TYPE_CHECKING:
    from pathlib import Path

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


def save_model(folder: Path, tokenizer: PreTrainedTokenizerBase, **fields: Any) -> Any:
    """A small Llama in a folder, and in this process."""
    torch.manual_seed(1)
    config = LlamaConfig(
        hidden_size=48,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=512,
        initializer_range=0.4,
        **fields,
    )
    model = LlamaForCausalLM(config).eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


Served = tuple[Engine, PreTrainedTokenizerBase, Any]


@pytest.fixture(scope="module", params=[byte_level, sentencepiece_like])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    tokenizer = request.param()
    folder = tmp_path_factory.mktemp("guided")
    # More rows than tokens, as many models have.
    rows = len(tokenizer) + 37
    model = save_model(folder, tokenizer, vocab_size=rows, eos_token_id=tokenizer.eos_token_id)
    with loaded(config_of(folder)) as engine:
        yield engine, tokenizer, model


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
def test_outputs_always_match(served: Served, guide: Guide) -> None:
    engine, tokenizer, model = served
    jobs = [
        GenerationJob(
            [30 + i, 40, 50], Sampling(temperature, 0.95, seed=i), 200, guide=guide, top=top
        )
        for i in range(12)
        for temperature, top in ((0.0, 2), (1.0, None), (2.0, 2))
    ]
    free = GenerationJob([30, 40, 50], Sampling(0), 20, top=2)
    *guided, unguided = answers(engine, [*jobs, free])
    texts_seen = set()
    for job, news in zip(jobs, guided, strict=True):
        tokens = [new.token for new in news]
        assert tokens[-1] in engine.end_tokens
        assert not engine.end_tokens & set(tokens[:-1])
        text = tokenizer.decode(tokens[:-1], skip_special_tokens=False)
        assert matches(guide, text), text
        if guide.kind == "json_schema":  # the one form that there is room for
            assert json.dumps(json.loads(text), ensure_ascii=False) == text or "\\" in text
        texts_seen.add(text)
        # What is told is the model's own, guide or not.
        rows = logprobs(model, [*job.prompt, *tokens])[len(job.prompt) - 1 :]
        for new, row in zip(news, rows, strict=False):
            assert (new.logprob is None) == (job.top is None)
            if job.top is not None:
                assert new.logprob == pytest.approx(row[new.token].item(), abs=LOGPROB_ERROR)
                best = row.topk(2)
                assert [token for token, _ in new.alternatives or []] == best.indices.tolist()
    assert len(texts_seen) > 3
    # A neighbour's guide changes nothing.
    assert [[new.token for new in unguided]] == texts(engine, [free])


def test_guided_text_comes_token_by_token(served: Served) -> None:
    engine, _, _ = served
    guide = Guide("regex", "[a-z]{80}")

    async def pieces(top: int | None) -> list[int]:
        stream = engine.generate(GenerationJob([30], Sampling(0), 200, guide=guide, top=top))
        return [len(tokens) async for tokens in stream]

    for top in (None, 1):
        sizes = asyncio.run(pieces(top))
        assert sizes[0] == 1
        assert len(sizes) > 10


def test_max_tokens_may_cut(served: Served) -> None:
    engine, _, _ = served
    guide = Guide("json_schema", json.dumps(SCHEMA))
    whole, cut = texts(
        engine, [GenerationJob([30], Sampling(0), size, guide=guide) for size in (200, 5)]
    )
    assert cut == whole[:5]


def test_a_guide_ends_a_model_that_has_no_end_token(tmp_path: Path) -> None:
    tokenizer = byte_level()
    save_model(tmp_path, tokenizer, vocab_size=len(tokenizer), eos_token_id=None)
    guide = Guide("regex", "[AB] ends")
    with loaded(config_of(tmp_path)) as engine:
        assert engine.end_tokens == frozenset()
        jobs = [GenerationJob([30], Sampling(0), 50, guide=guide, top=top) for top in (None, 1)]
        found = texts(engine, jobs)
    assert found[0] == found[1]
    assert matches(guide, tokenizer.decode(found[0], skip_special_tokens=False))


@pytest.mark.parametrize(
    "guide",
    [
        Guide("regex", "(unclosed"),
        Guide("regex", r"(?<=a)b"),
        Guide("regex", "a\0b("),
        Guide("json_schema", "{"),
        Guide("json_schema", ""),
        Guide("json_schema", '{"type": "nothing"}'),
        Guide("json_schema", '{"type": "object", "$ref": "http://example.org/x"}'),
        Guide("choice", ()),
        Guide("choice", ("a", "")),
    ],
    ids=repr,
)
def test_a_guide_that_cannot_be_compiled_is_told_before_the_first_token(
    served: Served, guide: Guide
) -> None:
    engine, _, _ = served
    with pytest.raises(ValueError, match=r"."):
        answers(engine, [GenerationJob([30], Sampling(0), 5, guide=guide)])
    assert engine.healthy()


@pytest.mark.parametrize("schema", ["{}", '{"enum": ["да", "no", 3]}'])
def test_schemas_of_few_words(served: Served, schema: str) -> None:
    engine, tokenizer, _ = served
    guide = Guide("json_schema", schema)
    jobs = [GenerationJob([30 + i], Sampling(1.0, seed=i), 200, guide=guide) for i in range(4)]
    for tokens in texts(engine, jobs):
        if tokens[-1] in engine.end_tokens:  # or it was cut
            text = tokenizer.decode(tokens[:-1], skip_special_tokens=False)
            jsonschema.validate(json.loads(text), json.loads(schema))
