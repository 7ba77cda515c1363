"""Small models that learn, each in a process of its own: ``KIND DATA`` prints what came of it."""

from __future__ import annotations

import itertools
import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from medray.corpus.tokens.engines import HuggingFaceEngine
from medray.corpus.tokens.tokenizer import train_tokenizer
from medray.corpus.tokens.windows import WindowConfig, make_windows
from medray.instruct.prompts import answer_text, prompt_for
from medray.instruct.questions import Question, read_questions
from medray.languages import LANGUAGES
from medray.models.small import NewModelConfig, make_model
from medray.runtime import free_port
from medray.storage.location import Location
from medray.training.attention import Pieces
from medray.training.config import TrainingConfig
from medray.training.engine import Engine
from medray.training.examples import taught_examples
from medray.training.order import Order
from medray.training.sequences import Sequences, hold_out, read_windows
from medray.training.strategy import prepare_process

SIZES = NewModelConfig(
    hidden_size=128, layers=3, attention_heads=4, key_value_heads=2, feed_forward_size=384
)


def engine_of(tokenizer: Any, steps: int, batch: int, learning_rate: float) -> Engine:
    config = TrainingConfig.model_validate(
        {
            "workers": {"count": 1},
            "zero_stage": 1,
            "precision": "fp32",
            "gradient_checkpointing": False,
            "steps": steps,
            "global_batch_size": batch,
            "micro_batch_tokens": 4096,
            "optimizer": {"learning_rate": learning_rate, "warmup_steps": 10, "weight_decay": 0},
        }
    )
    return Engine(make_model(SIZES, tokenizer, 0), config, 0, 1)


def train(engine: Engine, data: Sequences) -> None:
    order, batch = Order.uniform(len(data), 0), engine.config.global_batch_size
    for step in range(engine.config.steps):
        engine.step(data, order.between(step * batch, (step + 1) * batch), step)


def accuracy(engine: Engine, tokenizer: Any, questions: list[Question]) -> float:
    """Return the share of questions whose right letter is likeliest of their options."""
    import torch

    model, right = engine.objective.model.eval(), 0
    for question in questions:
        prompt = tokenizer(prompt_for(question, rationale=False))["input_ids"]
        scores = {}
        for letter in question.options:
            answer = tokenizer(answer_text((letter,)), add_special_tokens=False)["input_ids"]
            tokens = torch.tensor([prompt + answer])
            bounds = (0, tokens.shape[1])
            with torch.inference_mode():
                logits = model(
                    input_ids=tokens,
                    pieces=Pieces(bounds, torch.tensor(bounds, dtype=torch.int32)),
                    use_cache=False,
                ).logits[0]
            picked = logits[len(prompt) - 1 : -1].log_softmax(-1)
            scores[letter] = picked.gather(1, tokens[0, len(prompt) :, None]).sum().item()
        right += max(scores, key=lambda letter: scores[letter]) in question.answers
    return right / len(questions)


def memorise(data: Path) -> dict[str, Any]:
    """64 real questions of MedQA, learned by heart."""
    file = data / "evaluation/raw/medqa_us_4opt/phrases_no_exclude_test.jsonl"
    questions = list(itertools.islice(read_questions(Location.of(file), "medqa_us", "en"), 64))
    texts = [prompt_for(q, rationale=False) + answer_text(q.answers) for q in questions]
    tokenizer = train_tokenizer(iter(texts), 1000)
    engine = engine_of(tokenizer, 300, 16, 2e-3)
    before = accuracy(engine, tokenizer, questions)
    train(engine, Sequences.of(taught_examples(questions, "mmedlm", tokenizer, 1024)))
    return {"before": before, "after": accuracy(engine, tokenizer, questions), "n": len(questions)}


ORGANS = {
    "heart": ["angina", "myocarditis", "endocarditis", "tachycardia", "pericarditis"],
    "lung": ["asthma", "pneumonia", "bronchitis", "emphysema", "pleurisy"],
    "liver": ["hepatitis", "cirrhosis", "steatosis", "cholangitis", "jaundice"],
    "kidney": ["nephritis", "nephrosis", "pyelonephritis", "uraemia", "lithiasis"],
}
FRAMES = [
    "A patient of {age} has {disease}. Which organ is ill?",
    "{disease} was found at the age of {age}. Name the organ.",
    "At {age} years: {disease}. The organ?",
    "Which organ does {disease} concern, at {age}?",
]


def synthetic() -> tuple[list[Question], list[Question]]:
    """Return questions to learn, and others of frames and ages that no disease was seen with."""
    draw, options = random.Random(0), dict(zip("ABCD", ORGANS, strict=True))
    parts: tuple[list[Question], list[Question]] = ([], [])
    for organ, diseases in ORGANS.items():
        letter = next(key for key, value in options.items() if value == organ)
        for disease, (number, frame) in itertools.product(diseases, enumerate(FRAMES)):
            held = (diseases.index(disease) + number) % len(FRAMES) == 0
            for age in draw.sample(range(20, 90), 6):
                text = frame.format(age=age, disease=disease)
                parts[held].append(
                    Question(
                        question_id=text,
                        language="en",
                        question=text,
                        options=options,
                        answers=(letter,),
                    )
                )
    return parts


def generalise(data: Path) -> dict[str, Any]:
    trained, held_out = synthetic()
    texts = [prompt_for(q, rationale=False) + answer_text(q.answers) for q in trained]
    tokenizer = train_tokenizer(iter(texts), 500)
    engine = engine_of(tokenizer, 200, 32, 2e-3)
    before = accuracy(engine, tokenizer, held_out)
    train(engine, Sequences.of(taught_examples(trained, "mmedlm", tokenizer, 512)))
    return {"before": before, "after": accuracy(engine, tokenizer, held_out), "n": len(held_out)}


def perplexity(data: Path) -> dict[str, Any]:
    """Real text of six languages: losses by language before and after, on held-out documents."""
    tables = {}
    for code in LANGUAGES:
        file = sorted((data / "corpus" / code).glob("*.parquet"))[0]
        tables[code] = next(pq.ParquetFile(file).iter_batches(300, columns=["text"]))
    texts = [text for table in tables.values() for text in table["text"].to_pylist() if text]
    tokenizer = train_tokenizer(iter(text[:4000] for text in texts), 4096)
    files = []
    for code, batch in tables.items():
        rows = [text[:4000] for text in batch["text"].to_pylist() if text]
        ids = [f"{code} {number}" for number in range(len(rows))]
        documents = pa.table({"document_id": ids, "text": rows})
        config = WindowConfig(window_tokens=256, overlap_tokens=32)
        windows = make_windows(documents, HuggingFaceEngine(tokenizer), config, code)
        file = Path(os.environ["WORK"]) / f"{code}.parquet"
        pq.write_table(windows, file)
        files.append(Location.of(file))
    trained, held_out = hold_out(read_windows(files), 0.1, 0)
    engine = engine_of(tokenizer, 120, 32, 2e-3)
    before = engine.evaluate(held_out)
    train(engine, trained)
    return {"before": before, "after": engine.evaluate(held_out), "n": len(held_out)}


def main(kind: str, data: str) -> None:
    import torch

    os.environ |= {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    os.environ["OMP_NUM_THREADS"] = "2"
    prepare_process(False, 1)
    torch.distributed.init_process_group("gloo")
    found = {"memorise": memorise, "generalise": generalise, "perplexity": perplexity}
    print(json.dumps(found[kind](Path(data))))


if __name__ == "__main__":
    main(*sys.argv[1:])
