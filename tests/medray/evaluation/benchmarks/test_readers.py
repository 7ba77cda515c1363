from __future__ import annotations

import json
from pathlib import Path

import pytest

from medray.evaluation.benchmarks.readers import hallmarks, igakuqa, liveqa, pubmedqa_test


def written(file: Path, *rows: object) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(json.dumps(row) for row in rows))
    return file


def test_pubmedqa_s_test_is_what_the_file_beside_it_names(tmp_path: Path) -> None:
    file = written(tmp_path / "ori_pqal.json", {"1": {"q": "a"}, "2": {"q": "b"}, "3": {"q": "c"}})
    written(tmp_path / "test_ground_truth.json", {"3": "yes", "1": "no"})
    assert list(pubmedqa_test(file)) == [{"key": "3", "q": "c"}, {"key": "1", "q": "a"}]


def test_igakuqa_s_problems_have_their_category_from_the_file_beside_them(tmp_path: Path) -> None:
    problems = [{"problem_id": "1", "choices": ["x"]}, {"problem_id": "2", "choices": []}]
    file = written(tmp_path / "112-A.jsonl", *problems)
    about = [{"problem_id": "2", "category": "b"}, {"problem_id": "1", "category": "a"}]
    written(tmp_path / "112-A_metadata.jsonl", *about)
    found = list(igakuqa(file))
    assert [(row["category"], row["asks"]) for row in found] == [
        ("a", "letters"),
        ("b", "a number"),
    ]
    written(tmp_path / "112-A_metadata.jsonl", about[0])
    with pytest.raises(KeyError, match="1"):
        list(igakuqa(file))


def test_hallmarks_are_the_top_levels_of_all_sentences(tmp_path: Path) -> None:
    text, labels = tmp_path / "text" / "1.txt", tmp_path / "labels" / "1.txt"
    for file in (text, labels):
        file.parent.mkdir()
    text.write_text("One.\nTwo.\n")
    labels.write_text("< <Evading--x ANDResisting--y--z <NULL <Resisting ")
    assert list(hallmarks(text)) == [{"text": "One. Two.", "labels": ["Evading", "Resisting"]}]
    labels.unlink()
    with pytest.raises(FileNotFoundError):
        list(hallmarks(text))


def test_liveqa_s_answers_stand_in_two_spellings(tmp_path: Path) -> None:
    file = tmp_path / "live.xml"
    file.write_text(
        "<set><q qid='T1'><SUBJECT>On\n x</SUBJECT><MESSAGE/><TYPE>CAUSE</TYPE>"
        "<RefAnswer><ANSWER>one</ANSWER></RefAnswer>"
        "<ReferenceAnswer><ANSWER>two\n three</ANSWER></ReferenceAnswer></q></set>"
    )
    [row] = liveqa(file)
    assert row == {
        "qid": "T1",
        "subject": "On x",
        "message": "",
        "kind": "CAUSE",
        "question": "On x",
        "answers": ["one", "two three"],
    }
