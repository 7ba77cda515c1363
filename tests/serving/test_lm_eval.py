"""lm-evaluation-harness asks the endpoint and its own hf backend the same real exam questions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import AutoTokenizer

from medray.corpus.tokens.tokenizer import train_tokenizer
from medray.evaluation.benchmarks import catalogue
from medray.evaluation.client import EndpointAddress
from medray.evaluation.running.asking import endpoint as ask_endpoint
from medray.evaluation.running.run import Files, run_benchmark
from medray.evaluation.running.settings import RunSettings
from medray.instruct.questions import Question, read_questions
from medray.models.folder import load_model, save_model
from medray.models.small import NewModelConfig, make_model
from medray.storage.location import Location
from serving.app import Endpoint, deploy, shutdown
from serving.config import ServingConfig

pytestmark = pytest.mark.slow

lm_eval = pytest.importorskip("lm_eval", reason="pip install lm-eval")
lm_eval_tasks = pytest.importorskip("lm_eval.tasks")

EXAMS = (
    ("en", "medqa_us", "medqa_us_4opt/phrases_no_exclude_test.jsonl"),
    ("zh", "medqa_zh", "medqa_zh/medqa_zh.jsonl"),
    ("fr", "frenchmedmcqa", "frenchmedmcqa/test.json"),
    ("ru", "rumeddanet", "rumeddanet/test_v1.jsonl"),
    ("es", "headqa", "headqa_es/test_HEAD.json"),
)
OF_EACH = 120
CHAT_TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}>{{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
LIKELIHOOD = {
    "task": "exam_likelihood",
    "dataset_path": "json",
    "test_split": "test",
    "output_type": "multiple_choice",
    "doc_to_text": "{{question}}\nAnswer:",
    "doc_to_choice": "{{choices}}",
    "doc_to_target": "{{gold}}",
    "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
}
GENERATED = {
    "task": "exam_generated",
    "dataset_path": "json",
    "test_split": "test",
    "output_type": "generate_until",
    "doc_to_text": "{{question}}\nAnswer:",
    "doc_to_target": "{{choices[gold]}}",
    "generation_kwargs": {"until": ["\n\n"], "max_gen_toks": 12, "do_sample": False},
    "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
}
# lm-eval's own task of that name, its questions from a local file.
MEDQA = LIKELIHOOD | {
    "task": "medqa_local",
    "doc_to_text": "Question: {{question}}\nA. {{A}}\nB. {{B}}\nC. {{C}}\nD. {{D}}\nAnswer:",
    "doc_to_choice": ["A", "B", "C", "D"],
    "doc_to_target": "answer_idx",
}
MEDQA_FILE = "medqa_us_4opt/phrases_no_exclude_test.jsonl"
OF_MEDQA = 500
Samples = list[dict[str, Any]]


@dataclass(frozen=True)
class Harness:
    """Tasks of real questions, the folder of a small random model, and its endpoint."""

    tasks: Path
    folder: Path
    endpoint: Endpoint

    def ask(self, kind: str, task: str, limit: int | None, arguments: dict[str, Any]) -> Samples:
        """Return the samples of a task, by question, as one of lm-eval's models answers it."""
        manager = lm_eval_tasks.TaskManager(include_path=str(self.tasks), include_defaults=False)
        found = lm_eval.simple_evaluate(
            model=kind,
            model_args=arguments,
            tasks=[task],
            task_manager=manager,
            limit=limit,
            bootstrap_iters=0,
            apply_chat_template=task == "exam_generated",
            random_seed=0,
        )
        samples: Samples = sorted(found["samples"][task], key=lambda sample: sample["doc_id"])
        return samples

    def by_hf(self, task: str, limit: int | None = None) -> Samples:
        arguments: dict[str, Any] = {"pretrained": str(self.folder), "dtype": "float32"}
        arguments |= {"batch_size": 4, "device": "cpu"}
        return self.ask("hf", task, limit, arguments)

    def by_endpoint(self, kind: str, route: str, task: str, limit: int | None = None) -> Samples:
        arguments = {
            "model": self.folder.name,
            "base_url": f"{self.endpoint.base_url}/{route}",
            "num_concurrent": 4,
            "max_length": 4096,
        }
        return self.ask(kind, task, limit, arguments)


def answered(question: Question) -> dict[str, Any]:
    letters = list(question.options)
    return {
        "question": question.question,
        "choices": [f" {text}" for text in question.options.values()],
        "gold": letters.index(question.answers[0]),
    }


def lettered(row: dict[str, Any]) -> dict[str, Any]:
    return {"question": row["question"].strip(), **row["options"], "answer_idx": row["answer_idx"]}


@pytest.fixture(scope="module")
def harness(
    real_data: Path, tmp_path_factory: pytest.TempPathFactory, served: None
) -> Iterator[Harness]:
    folder = tmp_path_factory.mktemp("harness")
    questions = []
    for language, form, name in EXAMS:
        file = Location.of(real_data / "evaluation" / "raw" / name)
        single = [q for q in read_questions(file, form, language) if len(q.answers) == 1]
        questions += [answered(question) for question in single[:OF_EACH]]
    data = folder / "questions.jsonl"
    data.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in questions))
    tasks = folder / "tasks"
    tasks.mkdir()
    medqa = folder / "medqa.jsonl"
    rows = (real_data / "evaluation" / "raw" / MEDQA_FILE).read_text().splitlines()[:OF_MEDQA]
    medqa.write_text("".join(f"{json.dumps(lettered(json.loads(row)))}\n" for row in rows))
    for task in (LIKELIHOOD, GENERATED, MEDQA):
        file = medqa if task is MEDQA else data
        told = task | {"dataset_kwargs": {"data_files": {"test": str(file)}}}
        (tasks / f"{task['task']}.yaml").write_text(yaml.safe_dump(told))
    tokenizer = train_tokenizer((row["question"] for row in questions), 2000)
    tokenizer.chat_template = CHAT_TEMPLATE
    sizes = NewModelConfig(
        hidden_size=64,
        layers=2,
        attention_heads=4,
        key_value_heads=2,
        feed_forward_size=128,
        maximum_positions=4096,
    )
    model = make_model(sizes, tokenizer, 0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(8 if weight.ndim > 1 else 1)  # or all options would be nearly as likely
    save_model(model, model.state_dict(), tokenizer, folder / "small")
    endpoint = deploy(
        ServingConfig(
            model=folder / "small",
            port=0,
            dtype="float32",
            route_prefix="/harness",
            max_prompt_tokens=4000,
            max_output_tokens=64,
            api_key_environment="MEDRAY_TEST_NO_KEY",
        )
    )
    yield Harness(tasks, folder / "small", endpoint)
    shutdown(endpoint)


def test_likelihoods_and_answers_are_those_of_its_own_backend(harness: Harness) -> None:
    mine = harness.by_endpoint("local-completions", "completions", "exam_likelihood")
    theirs = harness.by_hf("exam_likelihood")
    assert len(mine) == len(theirs) >= 500
    for one, other in zip(mine, theirs, strict=True):
        assert one["doc"] == other["doc"]
        found = [likelihood for likelihood, _ in one["filtered_resps"]]
        expected = [likelihood for likelihood, _ in other["filtered_resps"]]
        assert found == pytest.approx(expected, abs=1e-4, rel=1e-6)
        assert [greedy for _, greedy in one["filtered_resps"]] == [
            greedy for _, greedy in other["filtered_resps"]
        ]
        assert one["acc"] == other["acc"]
    assert 0.1 < sum(sample["acc"] for sample in mine) / len(mine) < 0.6


def test_medray_s_benchmark_has_the_harness_s_accuracy(
    harness: Harness, real_data: Path, tmp_path: Path
) -> None:
    """MedQA by ``medray benchmark``: every question's choice is the one of lm-eval's backend."""
    declaration = catalogue.load("medqa")
    settings = RunSettings(way="likelihood", limit=OF_MEDQA)
    address = EndpointAddress(harness.endpoint.base_url, harness.folder.name)
    results = run_benchmark(
        declaration, real_data / "evaluation" / "raw", address.model_name,
        ask_endpoint(address, settings), settings, tmp_path,
    )  # fmt: skip
    theirs = harness.by_hf("medqa_local")
    rows = Files(tmp_path, "medqa").rows.read_text().splitlines()
    mine = [json.loads(row)["metrics"]["likelihood_accuracy"] for row in rows]
    assert mine == [sample["acc"] for sample in theirs]
    assert results["metrics"]["likelihood_accuracy"]["n"] == OF_MEDQA
    for row, sample in zip(map(json.loads, rows), theirs, strict=True):
        expected = [likelihood for likelihood, _ in sample["filtered_resps"]]
        assert list(row["likelihoods"].values()) == pytest.approx(expected, abs=1e-4)


def test_likelihoods_are_those_of_a_direct_forward(harness: Harness) -> None:
    samples = harness.by_endpoint("local-completions", "completions", "exam_likelihood", limit=20)
    model = load_model(harness.folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(harness.folder)
    for sample in samples:
        asked = zip(sample["arguments"], sample["filtered_resps"], strict=True)
        for (context, continuation), (likelihood, _) in asked:
            before = tokenizer.encode(context, add_special_tokens=False)
            tokens = tokenizer.encode(context + continuation, add_special_tokens=False)
            with torch.inference_mode():
                logprobs = model(torch.tensor([tokens])).logits[0].log_softmax(-1)
            places = range(len(before), len(tokens))
            direct = sum(logprobs[place - 1, tokens[place]].item() for place in places)
            assert likelihood == pytest.approx(direct, abs=1e-4, rel=1e-6)


def test_chat_answers_are_those_of_its_own_backend(harness: Harness) -> None:
    mine = harness.by_endpoint(
        "local-chat-completions", "chat/completions", "exam_generated", limit=40
    )
    theirs = harness.by_hf("exam_generated", limit=40)
    assert [sample["filtered_resps"] for sample in mine] == [
        sample["filtered_resps"] for sample in theirs
    ]
    assert len({sample["filtered_resps"][0] for sample in mine}) > 20
