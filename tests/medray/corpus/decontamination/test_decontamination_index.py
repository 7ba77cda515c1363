"""The index: kept while its benchmarks are the same, equal to plain Python, never by hash alone."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.corpus.decontamination import DecontaminateConfig, Decontamination
from medray.corpus.decontamination.building import build_index, index_items
from medray.corpus.decontamination.folding import fold_words
from medray.corpus.decontamination.index import INDEX_NAME, TEXTS_NAME
from medray.corpus.decontamination.items import Item
from medray.corpus.dedup.characters import is_word_character
from medray.corpus.dedup.words import hash_words
from medray.languages import LANGUAGES
from medray.storage.location import Location

from .planted import PROSE, QUESTIONS, exam, judge, left_of, locate, six_exams, step_of, write_rows

# Few different words, so that texts share many runs of them.
SENTENCES = st.lists(st.sampled_from("abcd"), min_size=1, max_size=14).map(" ".join)
MIXED = st.text(st.sampled_from("aÉé́ _-9٣ßİΣς漢々カｶ㐀１Ａ\U0001f600\U00020000\n\t."), max_size=30)


def small(folder: Path, questions: list[str], **more: object) -> Decontamination:
    config = exam(
        folder, "en", [{"question": q} for q in questions], ngram_words=5, whole_words=4, **more
    )
    return step_of(config, folder)


def covered_plainly(text: list[str], questions: list[list[str]]) -> int:
    """Count the words that are in a run of 5 of a question, or in all of one of 4 words."""
    covered = [False] * len(text)
    for question in questions:
        size = 5 if len(question) >= 5 else len(question)
        if size < 4:
            continue
        for start in range(len(question) - size + 1):
            for at in range(len(text) - size + 1):
                if text[at : at + size] == question[start : start + size]:
                    covered[at : at + size] = [True] * size
    return sum(covered)


@settings(max_examples=25)  # each writes an index
@given(
    questions=st.lists(SENTENCES, min_size=1, max_size=4),
    texts=st.lists(st.lists(SENTENCES, min_size=1, max_size=3), min_size=1, max_size=3),
)
def test_what_is_covered_is_what_plain_python_finds(
    tmp_path_factory: pytest.TempPathFactory, questions: list[str], texts: list[list[str]]
) -> None:
    step = small(tmp_path_factory.mktemp("index"), questions)
    judged = judge(step, "en", *("\n".join(lines) for lines in texts))
    shares = judged.scores["contaminated_share"].to_pylist()
    for lines, share in zip(texts, shares, strict=True):
        words = " ".join(lines).split()
        covered = covered_plainly(words, [question.split() for question in questions])
        assert share == pytest.approx(covered / len(words))


@given(text=MIXED, language=st.sampled_from(sorted(LANGUAGES)))
def test_folded_words_are_the_hashed_ones(text: str, language: str) -> None:
    hashes, _ = hash_words(pa.array([text]), language)
    data = np.frombuffer(text.encode(), np.uint8)
    characters, starts = fold_words(data, language, 0, len(hashes))
    words = [tuple(characters[a:b]) for a, b in pairwise(starts)]
    letters = "".join(map(chr, characters))
    assert len(letters) == sum(is_word_character(character) for character in text)
    assert all(words)
    for word, value in zip(words, hashes.tolist(), strict=True):
        others = zip(words, hashes.tolist(), strict=True)
        assert all((word == other) == (value == its) for other, its in others)
    for first in range(len(words)):
        part, part_starts = fold_words(data, language, first, min(first + 2, len(words)))
        assert [tuple(part[a:b]) for a, b in pairwise(part_starts)] == words[first : first + 2]


def test_a_match_by_hash_alone_is_none(tmp_path: Path) -> None:
    """The item's text is exchanged for another of as many words under the index's hashes."""
    step = step_of(exam(tmp_path, "en", [{"question": QUESTIONS["en"]}]), tmp_path)
    document = "\n".join([*PROSE["en"], QUESTIONS["en"]])
    assert left_of(step, "en", document) == "\n".join(PROSE["en"])
    file = tmp_path / "index" / TEXTS_NAME
    table = pa.ipc.open_file(pa.BufferReader(file.read_bytes())).read_all()
    other = [" ".join(word[::-1] for word in table["text"][0].as_py().split())]
    text = pa.array(other, pa.large_string())
    changed = table.set_column(table.column_names.index("text"), "text", text)
    with pa.ipc.new_file(str(file), changed.schema) as writer:
        writer.write_table(changed)
    config = exam(tmp_path, "en", [{"question": QUESTIONS["en"]}])
    deceived = Decontamination(config, Location.of(tmp_path / "index"))
    assert judge(deceived, "en", document).scores["contaminated_share"].to_pylist() == [0.0]


def test_the_index_is_rebuilt_only_when_something_changed(tmp_path: Path) -> None:
    config = exam(tmp_path, "en", [{"question": QUESTIONS["en"]}])
    target = Location.of(tmp_path / "index")
    counts = build_index(config, locate, target)
    assert counts["items"] == 1
    assert counts["unindexed_items"] == 0
    assert counts["ngrams"] == len(QUESTIONS["en"].replace("-", " ").split()) - 12
    place = tmp_path / "index" / INDEX_NAME
    first = place.stat().st_mtime_ns
    assert build_index(config, locate, target) == counts
    assert place.stat().st_mtime_ns == first
    write_rows(tmp_path / "en.jsonl", [{"question": QUESTIONS["en"]}, {"question": "Too short?"}])
    again = build_index(config, locate, target)
    assert (again["items"], again["unindexed_items"]) == (2, 1)
    place.unlink()  # as a kill leaves it
    assert build_index(config, locate, target) == again
    assert place.is_file()


def test_an_index_in_an_object_store_is_copied_once(tmp_path: Path) -> None:
    config = exam(tmp_path, "en", [{"question": QUESTIONS["en"]}])
    store = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
    (tmp_path / "index").mkdir()
    target = Location(store, "index")
    assert not target.is_local
    build_index(config, locate, target)
    step = Decontamination(config, target)
    assert left_of(step, "en", f"{PROSE['en'][0]}\n{QUESTIONS['en']}") == PROSE["en"][0]


def test_two_benchmarks_of_the_same_question_are_named_by_the_first(tmp_path: Path) -> None:
    rows = [{"question": QUESTIONS["fr"]}]
    first, second = exam(tmp_path / "a", "fr", rows), exam(tmp_path / "b", "fr", rows * 3)
    other = second.files[0].model_copy(update={"benchmark": "later"})
    config = DecontaminateConfig(files=(first.files[0], other), maximum_items=1)
    judged = judge(step_of(config, tmp_path), "fr", QUESTIONS["fr"])
    assert judged.scores["benchmark_item"].to_pylist() == ["made-up-fr/fr.jsonl:line 1"]


def test_a_short_question_that_is_another_items_option_is_found(tmp_path: Path) -> None:
    text = "Bees that keepers lost in the last winter"  # 8 words, too few for an option
    rows = [{"question": QUESTIONS["en"], "options": [text]}, {"question": text, "options": []}]
    step = step_of(exam(tmp_path, "en", rows), tmp_path)
    judged = judge(step, "en", text)
    assert judged.scores["benchmark_item"].to_pylist() == ["made-up-en/en.jsonl:line 2"]


def test_the_item_with_the_most_matches_is_named(tmp_path: Path) -> None:
    words = [f"w{number}" for number in range(60)]
    questions = [" ".join(words[:20]), " ".join(words[10:45])]
    step = step_of(exam(tmp_path, "en", [{"question": q} for q in questions]), tmp_path)
    judged = judge(step, "en", " ".join(words[:45]), " ".join(words[:20]))
    names = [f"made-up-en/en.jsonl:line {line}" for line in (2, 1)]
    assert judged.scores["benchmark_item"].to_pylist() == names


def test_counts_and_sizes() -> None:
    chance = random.Random(0)
    vocabulary = [f"word{number}" for number in range(500)]
    items = [
        Item("b", str(n), "en", (("question", " ".join(chance.choices(vocabulary, k=62))),))
        for n in range(40)
    ]
    texts, postings, counts = index_items(items, DecontaminateConfig())
    assert (counts["items"], counts["texts"], counts["ngrams"]) == (40, 40, 40 * 50)
    assert texts["words"].to_pylist() == [62] * 40
    assert postings.nbytes == 18 * postings.num_rows
    assert np.all(np.diff(postings["hash"].to_numpy().astype(object)) >= 0)


def test_no_text_with_a_word_gives_an_empty_index(tmp_path: Path) -> None:
    step = step_of(exam(tmp_path, "en", [{"question": "?!"}, {"question": "—"}]), tmp_path)
    assert judge(step, "en", QUESTIONS["en"]).scores["contaminated_share"].to_pylist() == [0.0]


def test_a_text_of_many_lines_and_items(tmp_path: Path) -> None:
    """Every second line is an item's; all others stay, each in its place."""
    chance = random.Random(1)
    vocabulary = [f"word{number}" for number in range(4000)]
    lines = [" ".join(chance.choices(vocabulary, k=20)) for _ in range(400)]
    step = step_of(exam(tmp_path, "en", [{"question": q} for q in lines[::2]]), tmp_path)
    assert left_of(step, "en", "\n".join(lines[50:350])) == "\n".join(lines[51:350:2])


def test_six_languages_lie_in_one_index(tmp_path: Path) -> None:
    counts = build_index(six_exams(tmp_path), locate, Location.of(tmp_path / "index"))
    assert counts["items"] == 6
    assert counts["unindexed_items"] == 0
