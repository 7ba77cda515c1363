"""Files that no general format tells: one small function each, named by a declaration's reader."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lxml import etree

Row = dict[str, Any]


def pubmedqa_test(file: Path) -> Iterator[Row]:
    """PubMedQA's labelled questions that test_ground_truth.json beside them names, in its order."""
    questions = json.loads(file.read_bytes())
    for key in json.loads((file.parent / "test_ground_truth.json").read_bytes()):
        yield {"key": key} | questions[key]


def igakuqa(file: Path) -> Iterator[Row]:
    """A part of the exam, with what the _metadata file beside it says of each problem.

    Twelve problems ask for a number: their choices are empty.
    """
    about = _lines(file.with_name(f"{file.stem}_metadata.jsonl"))
    category = {row["problem_id"]: row["category"] for row in about}
    for row in _lines(file):
        asks = "letters" if row["choices"] else "a number"
        yield {"category": category[row["problem_id"]], "asks": asks} | row


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
    yield {"text": text, "labels": sorted(labels - {"", "NULL"})}


def liveqa(file: Path) -> Iterator[Row]:
    """Consumers' questions of TREC 2017, each with one or more reference answers.

    Answers stand in two spellings, ReferenceAnswer and RefAnswer. Where there is no message, the
    subject asks.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    for question in etree.parse(str(file), parser).getroot():
        texts = {
            name: " ".join((question.findtext(f".//{tag}") or "").split())
            for name, tag in (("subject", "SUBJECT"), ("message", "MESSAGE"), ("kind", "TYPE"))
        }
        # Not .text: it ends at the first comment or element inside.
        answers = [" ".join(a.xpath("string()").split()) for a in question.iterfind(".//ANSWER")]
        yield {
            **texts,
            "qid": question.get("qid"),
            "question": texts["message"] or texts["subject"],
            "answers": [answer for answer in answers if answer],
        }


def _lines(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_bytes().splitlines() if line.strip()]


READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    function.__name__: function for function in (pubmedqa_test, igakuqa, hallmarks, liveqa)
}
