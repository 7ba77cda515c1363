"""Planted exam items go, in whatever dress; what is only like them stays."""

from __future__ import annotations

import random
import textwrap
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medray.corpus.decontamination import Decontamination
from medray.corpus.decontamination.evidence import CONTAMINATION
from medray.corpus.decontamination.step import without
from medray.languages import LANGUAGES

from .planted import (
    OPTIONS,
    PROSE,
    QUESTIONS,
    exam,
    judge,
    left_of,
    six_exams,
    step_of,
)

SAMPLES = Path(__file__).parents[4] / "jobs" / "samples" / "corpus"


@pytest.fixture(scope="module")
def step(tmp_path_factory: pytest.TempPathFactory) -> Decontamination:
    folder = tmp_path_factory.mktemp("exams")
    return step_of(six_exams(folder), folder)


def listed(options: list[str], labels: str = "ABCD") -> str:
    return "\n".join(f"{label}. {option}" for label, option in zip(labels, options, strict=True))


def wrapped(text: str, language: str) -> str:
    """Break lines as a PDF does: every 40 columns, inside sentences."""
    if LANGUAGES[language].spaced:
        return textwrap.fill(text, 40)
    return "\n".join(text[at : at + 18] for at in range(0, len(text), 18))


def without_punctuation(text: str) -> str:
    kept = ["" if unicodedata.category(c)[0] == "P" and c not in "'-’" else c for c in text]
    return "".join(kept).replace("-", " – ").replace("'", "’")


def full_width(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if c.isascii() and c.isalnum() else c for c in text)


def half(text: str) -> str:
    return text[: len(text) // 2 + 10]


DRESSES: dict[str, Callable[[str, str], str]] = {
    "verbatim": lambda text, code: text,
    "upper case": lambda text, code: text.upper() if code != "fr" else text.title(),
    "other punctuation": lambda text, code: without_punctuation(text),
    "hard line breaks": wrapped,
    "decomposed letters": lambda text, code: unicodedata.normalize("NFD", text),
    "half of it": lambda text, code: half(text),
}


@pytest.mark.parametrize("dress", DRESSES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_planted_question_goes_and_the_prose_around_it_stays(
    step: Decontamination, language: str, dress: str
) -> None:
    before, after = PROSE[language]
    planted = DRESSES[dress](QUESTIONS[language], language)
    text = f"{before}\n{planted}\n{after}"
    judged = judge(step, language, text)
    assert judged.texts is not None
    assert judged.texts.to_pylist() == [f"{before}\n{after}"]
    assert judged.reasons.to_pylist() == [None]
    name = f"made-up-{language}/{language}.jsonl:line 1"
    assert judged.scores["benchmark_item"].to_pylist() == [name]
    with_words = [line for line in planted.split("\n") if line.strip("。")]
    assert judged.scores["removed_paragraphs"].to_pylist() == [len(with_words)]


@pytest.mark.parametrize("language", ["zh", "ja"])
def test_full_width_letters_and_digits_are_the_same(step: Decontamination, language: str) -> None:
    before, after = PROSE[language]
    planted = full_width(QUESTIONS[language])
    assert planted != QUESTIONS[language]
    assert left_of(step, language, f"{before}\n{planted}\n{after}") == f"{before}\n{after}"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("labels", ["ABCD", "1234"])
def test_shuffled_options_go_with_their_question(
    step: Decontamination, language: str, labels: str
) -> None:
    before, after = PROSE[language]
    shuffled = random.Random(3).sample(OPTIONS[language], 4)
    assert shuffled != OPTIONS[language]
    planted = f"{QUESTIONS[language]}\n\n{listed(shuffled, labels)}"
    assert left_of(step, language, f"{before}\n\n{planted}\n\n{after}") == f"{before}\n\n{after}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_options_without_their_question_stay(step: Decontamination, language: str) -> None:
    text = f"{PROSE[language][0]}\n{listed(OPTIONS[language])}\n{PROSE[language][1]}"
    judged = judge(step, language, text)
    assert judged.texts is None
    assert judged.scores["benchmark_item"].to_pylist() == [None]


@pytest.mark.parametrize("language", LANGUAGES)
def test_near_misses_stay(step: Decontamination, language: str) -> None:
    # One word in ten is another one (a character in nine in zh and ja): no 13 (20) in a row agree.
    spaced = LANGUAGES[language].spaced
    words = QUESTIONS[language].split() if spaced else list(QUESTIONS[language])
    gap = 10 if spaced else 9
    words[gap // 2 :: gap] = ["mañana" if spaced else "甲"] * len(words[gap // 2 :: gap])
    text = f"{PROSE[language][0]}\n{(' ' if spaced else '').join(words)}"
    judged = judge(step, language, text)
    assert judged.texts is None
    assert judged.scores["contaminated_share"].to_pylist() == [0.0]


def test_a_document_that_is_mostly_exam_goes_whole(step: Decontamination) -> None:
    question = f"{QUESTIONS['en']}\n{listed(OPTIONS['en'])}"
    short, long = f"See this.\n{question}", "\n".join([*PROSE["en"] * 2, question])
    judged = judge(step, "en", short, long, question)
    assert judged.reasons.to_pylist() == ["contaminated", None, "contaminated"]
    assert judged.scores["removed_paragraphs"].to_pylist() == [5, 5, 5]
    shares = judged.scores["contaminated_share"].to_pylist()
    assert shares[2] > shares[0] > 0.8 and shares[1] < 0.4


def test_an_item_is_found_in_a_text_of_another_language(step: Decontamination) -> None:
    text = f"{PROSE['fr'][0]}\n{QUESTIONS['en']}\n{PROSE['fr'][1]}"
    assert left_of(step, "fr", text) == "\n".join(PROSE["fr"])


def test_a_quotation_in_a_long_paragraph_stays_and_a_whole_question_does_not(
    tmp_path: Path,
) -> None:
    config = exam(tmp_path, "en", [{"question": QUESTIONS["en"]}], run_words=30)
    step = step_of(config, tmp_path)
    prose, short = " ".join(PROSE["en"] * 4), PROSE["en"][0]
    quotation = " ".join(QUESTIONS["en"].split()[:18])
    judged = judge(step, "en", f"{prose} {quotation}", f"{prose} {QUESTIONS['en']}\n{short}")
    assert judged.scores["removed_paragraphs"].to_pylist() == [0, 1]
    quoted, whole = judged.scores["contaminated_share"].to_pylist()
    assert 0 < quoted < whole < 0.5
    assert judged.texts is not None
    assert judged.texts.to_pylist()[1] == short


def test_a_short_question_is_found_whole_and_one_of_three_words_with_its_options(
    tmp_path: Path,
) -> None:
    short = "Which enzyme do statins inhibit in the liver?"  # 8 words
    shortest = "Gallstones consist of:"
    options = ["Cholesterol", "Calcium oxalate", "Uric acid", "Cystine", "Struvite and apatite"]
    rows = [
        {"question": short, "options": ["HMG-CoA reductase", "Lipase"]},
        {"question": shortest, "options": options},
    ]
    step = step_of(exam(tmp_path, "en", rows), tmp_path)
    prose = "\n".join(PROSE["en"])
    assert left_of(step, "en", f"{prose}\n{short}") == prose
    assert left_of(step, "en", f"{prose}\nWhich enzyme do statins inhibit in the gut?").count("gut")
    assert left_of(step, "en", f"{prose}\n{shortest}").endswith(shortest)
    for labels in ("ABCDE", "12345"):
        assert left_of(step, "en", f"{prose}\n{shortest}\n{listed(options, labels)}") == prose


def test_a_manner_of_asking_is_no_item_and_a_shared_passage_is(tmp_path: Path) -> None:
    manner = "Which one of the following statements about the condition shown above is the best one"
    passage = "The registry of the northern islands counted each keeper who was stung twice in May"
    rows = [
        {"question": f"{manner}, given finding number {number}?", "passage": passage}
        for number in range(12)
    ]
    columns = {"passage": "passage"}
    step = step_of(exam(tmp_path / "a", "en", rows, columns=columns), tmp_path / "a")
    prose = "\n".join(PROSE["en"])
    assert left_of(step, "en", f"{prose}\n{manner}.") == f"{prose}\n{manner}."
    assert left_of(step, "en", f"{prose}\n{passage}") == prose
    larger = exam(tmp_path / "b", "en", rows, columns=columns, maximum_items=12)
    assert left_of(step_of(larger, tmp_path / "b"), "en", f"{prose}\n{manner}.") == prose


@pytest.mark.parametrize("language", LANGUAGES)
def test_documents_without_benchmark_text_lose_nothing(
    step: Decontamination, language: str
) -> None:
    texts = pq.read_table(SAMPLES / language, columns=["text"])["text"].combine_chunks()
    judged = step(texts, language)
    assert judged.texts is None
    assert judged.removals.num_rows == 0
    assert judged.reasons.null_count == len(texts) > 0


def test_a_batch_says_of_each_text_what_it_says_of_it_alone(step: Decontamination) -> None:
    texts = [PROSE["en"][0], "", QUESTIONS["en"], f"{PROSE['en'][0]}\n{QUESTIONS['en']}\n", "\n"]
    together = judge(step, "en", *texts)
    assert together.texts is not None
    sliced = pa.array(["x", *texts], pa.large_string()).slice(1)
    again = step(sliced, "en")
    for number, text in enumerate(texts):
        alone = judge(step, "en", text)
        for judged in (together, again):
            assert judged.reasons[number] == alone.reasons[0]
            for name, values in judged.scores.items():
                assert values[number] == alone.scores[name][0]
            left = text if alone.texts is None else alone.texts[0].as_py()
            assert judged.texts is not None and judged.texts[number].as_py() == left


def test_a_second_time_nothing_is_found(step: Decontamination) -> None:
    left = left_of(step, "en", f"{PROSE['en'][0]}\n\n{QUESTIONS['en']}\n\n{PROSE['en'][1]}\n")
    assert left == f"{PROSE['en'][0]}\n\n{PROSE['en'][1]}\n"
    assert judge(step, "en", left).texts is None


def test_what_is_between_removed_paragraphs_goes_with_them() -> None:
    assert without("a\n\nX\n\nb\n\n\nc", [2]) == "a\n\nb\n\n\nc"
    assert without("X\n\na", [0]) == "a"
    assert without("a\nX\n---\nX\n。\n\n\nb\n", [1, 3]) == "a\n\nb\n"
    assert without("a\n---\nX\nb", [2]) == "a\n---\nb"


def test_evidence_names_paragraph_and_item(step: Decontamination) -> None:
    text = f"{PROSE['ja'][0]}\n{wrapped(QUESTIONS['ja'], 'ja')}\n{PROSE['ja'][1]}"
    judged = judge(step, "ja", PROSE["ja"][0], text)
    evidence = judged.evidence(pa.array(["a", "b"]))
    assert evidence.schema == CONTAMINATION
    rows = evidence.to_pylist()
    assert [row["paragraph"] for row in rows] == list(range(1, len(rows) + 1))
    for row in rows:
        assert row["document_id"] == "b"
        assert text[row["start"] : row["end"]] == row["removed_text"]
        assert (row["benchmark"], row["item_id"]) == ("made-up-ja", "ja.jsonl:line 1")
        assert row["item_text"] == QUESTIONS["ja"]
        assert row["overlap_share"] == 1.0
    removed = "".join(row["removed_text"] for row in rows)
    assert removed == QUESTIONS["ja"].rstrip("。")  # the wrapped stop goes, but is no paragraph


def test_without_a_benchmark_nothing_happens(tmp_path: Path) -> None:
    config = exam(tmp_path, "en", [{"question": "?"}]).model_copy(update={"files": ()})
    step = step_of(config, tmp_path)
    assert not (tmp_path / "index").exists()
    judged = judge(step, "en", QUESTIONS["en"])
    assert judged.texts is None
    assert judged.scores["removed_paragraphs"].to_pylist() == [0]
