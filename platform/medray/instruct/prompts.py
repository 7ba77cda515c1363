"""The prompts that a model is fine-tuned on and benchmarked with.

The Alpaca frame and the rationale and answer forms are those of MMedLM's finetune/train.py,
without the sentence "Which of the following is the best treatment for this patient?", which the
published script appended to every question, yes/no ones included.
"""

from __future__ import annotations

from medray.instruct.questions import Question
from medray.languages import language

_FRAME = (
    "Below is an instruction that describes a task, paired with an input that provides further "
    "context. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:"
)
_WITH_RATIONALE = (
    "You're a {language} doctor, kindly address the medical queries according to the patient's "
    "account in {language}. Let's solve this step-by-step. You should first give the reason in "
    "{language} for your choice. Then you should give the right answer index of the question."
)
_ANSWER_ONLY = (
    "You're a {language} doctor, kindly address the medical queries according to the patient's "
    "account. Answer with the best option directly."
)
ANSWER_HEADER = "###Answer: OPTION "
RATIONALE_HEADER = "###Rationale: "


def prompt_for(question: Question, *, rationale: bool) -> str:
    """Return the prompt of a question; ``rationale``: ask for the reason before the answer."""
    instruction = (_WITH_RATIONALE if rationale else _ANSWER_ONLY).format(
        language=language(question.language).exam_name
    )
    options = " ".join(f"{letter}. {text}" for letter, text in question.options.items())
    return _FRAME.format(
        instruction=instruction, input=f"###Question: {question.question} ###Options: {options}"
    )


def answer_text(letters: tuple[str, ...]) -> str:
    """Return the answer in the form that training teaches: OPTION A,C IS CORRECT."""
    return f"{ANSWER_HEADER}{','.join(letters)} IS CORRECT."


def response_for(question: Question, *, rationale: bool) -> str:
    """Return the response that training teaches for ``prompt_for`` with the same argument."""
    if not rationale:
        return answer_text(question.answers)
    return f"{RATIONALE_HEADER}{question.rationale}\n{answer_text(question.answers)}"
