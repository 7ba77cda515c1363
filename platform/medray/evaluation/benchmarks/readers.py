"""Files that no general format tells: one small function each, named by a declaration's reader."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lxml import etree

from medray.evaluation.benchmarks.files import Row
from medray.evaluation.benchmarks.mapping import entities_of_tags


def pubmedqa_test(file: Path) -> Iterator[Row]:
    """PubMedQA's labelled questions that test_ground_truth.json beside them names, in its order."""
    questions = json.loads(file.read_bytes())
    for key in json.loads((file.parent / "test_ground_truth.json").read_bytes()):
        yield {"key": key} | questions[key]


def igakuqa(file: Path) -> Iterator[Row]:
    """A part of the exam, with its year and what the _metadata file beside it says of each problem.

    Twelve problems ask for a number: their choices are empty.
    """
    about = file.with_name(f"{file.stem}_metadata.jsonl")
    metadata = {row["problem_id"]: row for row in _lines(about)} if about.is_file() else {}
    for row in _lines(file):
        yield {
            "year": file.parent.name,
            "category": metadata.get(row["problem_id"], {}).get("category", ""),
            "asks": "letters" if row["choices"] else "a number",
            **row,
        }


def hallmarks(file: Path) -> Iterator[Row]:
    """An abstract of Hallmarks of Cancer: the top levels of all its sentences' labels.

    Labels of a sentence begin with "<" and are joined by " AND"; "--" parts the levels.
    """
    labels = {
        label.partition("--")[0].strip()
        for sentence in (file.parent.parent / "labels" / file.name).read_text("utf-8").split("<")
        for label in sentence.split(" AND")
    }
    text = " ".join(file.read_text("utf-8").split())
    yield {"pmid": file.stem, "text": text, "labels": sorted(labels - {"", "NULL"})}


def liveqa(file: Path) -> Iterator[Row]:
    """Consumers' questions of TREC 2017, each with one or more reference answers."""
    for question in etree.parse(file).getroot():
        message = question.findtext(".//MESSAGE") or ""
        subject = question.findtext(".//SUBJECT") or ""
        answers = [" ".join((a.text or "").split()) for a in question.iterfind(".//ANSWER")]
        yield {
            "qid": question.get("qid"),
            "subject": " ".join(subject.split()),
            "message": " ".join(message.split()) or " ".join(subject.split()),
            "kind": question.findtext(".//TYPE") or "",
            "answers": [answer for answer in answers if answer],
        }


def medquad(file: Path) -> Iterator[Row]:
    """The question-answer pairs of one page of MedQuAD; those without an answer are left out."""
    root = etree.parse(file).getroot()
    for pair in root.iterfind(".//QAPair"):
        answer = " ".join((pair.findtext("Answer") or "").split())
        question = pair.find("Question")
        if answer and question is not None:
            yield {
                "qid": question.get("qid"),
                "kind": question.get("qtype") or "",
                "source": root.get("source") or "",
                "focus": root.findtext("Focus") or "",
                "question": " ".join((question.text or "").split()),
                "answer": answer,
            }


def iob_tsv(file: Path) -> Iterator[Row]:
    """Sentences of a file of tokens and tags, with their entities as strings."""
    from medray.evaluation.benchmarks.declaration import Part
    from medray.evaluation.benchmarks.files import rows_of

    for row in rows_of(file, Part(files=file.name, format="iob")):
        yield _with_entities(row)


def iob_jsonl(file: Path) -> Iterator[Row]:
    """RuMedNER: a sentence a line, tokens and ner_tags. Entities are told as "kind: text"."""
    for row in _lines(file):
        tokens, tags = row["tokens"], row["ner_tags"]
        kinds = [
            tag.partition("-")[2]
            for before, tag in zip(["O", *tags], tags, strict=False)
            if tag != "O"
            and (tag.startswith("B-") or before.partition("-")[2] != tag.partition("-")[2])
        ]
        named = [
            f"{kind}: {text}"
            for kind, text in zip(kinds, entities_of_tags(tokens, tags), strict=True)
        ]
        yield row | {"tags": tags, "entities": named, "text": " ".join(tokens)}


def _with_entities(row: Row) -> Row:
    entities = entities_of_tags(row["tokens"], row["tags"])
    return row | {"entities": entities, "text": " ".join(row["tokens"])}


def _lines(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_bytes().splitlines() if line.strip()]


READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    function.__name__: function
    for function in (pubmedqa_test, igakuqa, hallmarks, liveqa, medquad, iob_tsv, iob_jsonl)
}
