"""Blinded sheets for people: one CSV and one HTML page a rater, and the key apart from them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import jinja2

from medray.errors import InputError
from medray.evaluation.judging.entries import Entry
from medray.evaluation.judging.protocol import Dimension, Protocol, rank_dimension
from medray.evaluation.judging.sheet_key import KEY_NAME, SheetKey, draw_key
from medray.evaluation.judging.spreadsheet import GUARDED_STARTS, to_csv
from medray.storage.location import Location

CHOICE = "choice"
RANK = "rank"
REMARK = "remark"
TIE = "tie"
# A longer scale is a number field, not a row of buttons.
_MOST_BUTTONS = 11
_RATER = re.compile(r"[\w][\w.-]*")
# What the page says, in the languages that protocols' guides are written in.
_WORDS = {
    "en": {
        "question": "Question", "reference": "Reference", "answer": "Answer",
        "tie": "no difference", "better": "Better:", "rank": "Rank", "best": "1 is the best",
        "remark": "Remark", "save": "Save the marks as CSV", "done": "marked",
        "of": "of", "of_items": "Item",
        "kept": "Marks stay in this browser; only the saved CSV counts. Save it, and hand it in.",
        "lost": "This browser keeps nothing for this page: save the CSV before you close it.",
        "unsaved": "Marks are missing. Save the CSV all the same?",
        "script": "Without JavaScript fill in the CSV sheet instead.",
    },
    "zh": {
        "question": "问题", "reference": "参考答案", "answer": "回答", "tie": "没有差别",
        "better": "更好的是：", "rank": "名次", "best": "1 为最好", "remark": "备注",
        "save": "将评分保存为 CSV", "done": "已评", "of": "/", "of_items": "题目",
        "kept": "评分保存在本浏览器中；以保存的 CSV 文件为准，请保存并交回。",
        "lost": "本浏览器无法为此页面保存数据：请在关闭之前保存 CSV。",
        "unsaved": "还有未完成的评分。仍要保存 CSV 吗？",
        "script": "如无 JavaScript，请填写 CSV 表格。",
    },
}  # fmt: skip


def export(
    entries: Sequence[Entry],
    protocol: Protocol,
    raters: Sequence[str],
    folder: Location,
    seed: int,
) -> SheetKey:
    """Write ``sheet_RATER.csv`` and ``.html`` for every rater, and ``key.json``; return the key.

    Systems stand behind letters, in an order drawn for each rater and item from ``seed``.
    InputError where a key lies in the folder already: without it the sheets that were handed out
    would be worth nothing.
    """
    for rater in raters:
        if not _RATER.fullmatch(rater):
            raise InputError(
                f"--raters: {rater!r}; use letters, digits, - and _, for files are named so"
            )
    if (folder / KEY_NAME).exists():
        raise InputError(
            f"{folder / KEY_NAME}: there are sheets already, which this key belongs to; give "
            "another folder by --out"
        )
    key = draw_key(entries, protocol, raters, seed)
    for sheet, rater in key.raters.items():
        (folder / f"sheet_{rater}.csv").write_bytes(sheet_csv(entries, key, sheet))
        page = sheet_html(entries, key, sheet)
        (folder / f"sheet_{rater}.html").write_bytes(page.encode("utf-8", "backslashreplace"))
    # Last: a killed export leaves no key, and so the same command makes all anew.
    key.write(folder / KEY_NAME)
    return key


def naming_themselves(entries: Sequence[Entry]) -> dict[str, int]:
    """Return system -> how many answers name it or another system, and so undo the blinding."""
    names = [re.escape(name) for name in entries[0].answers if len(name) > 2]
    if not names:
        return {}
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(names)})(?!\w)", re.IGNORECASE)
    found = {
        system: sum(bool(pattern.search(entry.answers[system])) for entry in entries)
        for system in entries[0].answers
    }
    return {system: count for system, count in found.items() if count}


def fields_of(protocol: Protocol, systems: int) -> list[Dimension]:
    """Return what is filled in for each answer; nothing of a pairwise protocol."""
    if protocol.kind == "ranking":
        return [rank_dimension(systems)]
    return list(protocol.dimensions)


def columns_of(key: SheetKey) -> list[str]:
    """Return a sheet's columns."""
    reference = ["reference"] if key.protocol.needs_reference else []
    if key.protocol.kind == "pairwise":
        answers = ["answer_a", "answer_b", CHOICE]
    else:
        fields = fields_of(key.protocol, len(key.systems))
        answers = ["answer", "text", *(field.name for field in fields)]
    return ["sheet", "item", "question", *reference, *answers, REMARK]


def sheet_rows(entries: Sequence[Entry], key: SheetKey, sheet: str) -> list[dict[str, str]]:
    """Return a rater's empty rows: one an answer, or one an item of a pairwise protocol."""
    rows = []
    for place, entry in enumerate(entries):
        shared = {
            "sheet": sheet,
            "item": str(place + 1),
            "question": entry.question,
            "reference": entry.reference,
        }
        texts = {
            letter: entry.answers[system] for letter, system in key.letters(sheet, place).items()
        }
        if key.protocol.kind == "pairwise":
            rows.append(shared | {"answer_a": texts["A"], "answer_b": texts["B"]})
        else:
            rows += [shared | {"answer": letter, "text": text} for letter, text in texts.items()]
    return rows


def sheet_csv(entries: Sequence[Entry], key: SheetKey, sheet: str) -> bytes:
    """Return a rater's sheet as CSV."""
    return to_csv(columns_of(key), sheet_rows(entries, key, sheet))


def sheet_html(entries: Sequence[Entry], key: SheetKey, sheet: str) -> str:
    """Return a rater's sheet as one page that loads nothing; it saves the same CSV, filled in."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = lambda value: f"{value:g}"
    template = files("medray.evaluation.judging") / "sheet.html"
    rows = sheet_rows(entries, key, sheet)
    items: list[list[dict[str, Any]]] = [[] for _ in entries]
    for number, row in enumerate(rows):
        items[int(row["item"]) - 1].append(row | {"number": number})
    fields = fields_of(key.protocol, len(key.systems))
    columns = columns_of(key)
    return environment.from_string(template.read_text(encoding="utf-8")).render(
        protocol=key.protocol,
        rater=key.raters[sheet],
        sheet=sheet,
        words=_WORDS.get(key.protocol.language, _WORDS["en"]),
        items=items,
        fields=fields,
        columns=columns,
        marked=[CHOICE] if key.protocol.kind == "pairwise" else [field.name for field in fields],
        rows=[{name: row.get(name, "") for name in columns} for row in rows],
        guarded="".join(GUARDED_STARTS),
        most_buttons=_MOST_BUTTONS,
    )
