"""A title and a name: "Mr Smith", "Mme Durand", "Sra. García", "г-н Иванов", "王先生", "山田様".

In published text these name authors, ministers and figures of novels: 423 (ru) to 1,530 (en) in a
thousand general documents, 8,382 in Japanese, 47 in Chinese. In a note they name the patient or
the family. So they are replaced in records only, that is in a text that also marks a name, a
record number, a national id or a form's date of birth, unless told otherwise.
"""

from __future__ import annotations

import re

from medray.corpus.deidentification.names import CHINESE_FORM, HAN, NAME_TOKEN, PARTICLE
from medray.corpus.deidentification.page import Page
from medray.corpus.deidentification.spans import Span

_WESTERN = re.compile(
    r"\b(?:(?:Mr|Mrs|Ms|Mx|MR|MRS|MS|Sr|Sra|Srta|SR|SRA|D|Dña)\.?|Miss|Mme|Mlle|MME|Monsieur|Madame|M\."
    r"|señor|señora|señorita|Señor|Señora|[Гг]-(?:н|жа|ну|на)|[Гг]осподин|[Гг]оспожа)[ ]{1,2}"
    rf"(?P<name>{PARTICLE}?{NAME_TOKEN}(?:[ ]?{PARTICLE}?{NAME_TOKEN}){{0,3}})"
)
_CHINESE_TITLE = re.compile(rf"(?P<name>{CHINESE_FORM}|[{HAN}])(?:先生|女士|小姐|太太|阿姨|大爷)")
_JAPANESE_TITLE = re.compile(
    rf"(?<![{HAN}])(?P<name>[{HAN}]{{1,4}}(?:[ ]?[{HAN}]{{1,3}})?)(?=様|さん|氏|殿|くん|ちゃん)"
)
_NO_JAPANESE = re.compile(
    "患者|皆|客|神|王|母|父|兄|姉|弟|妹|奥|娘|孫|息子|子供|赤|看護|医|先生|同|両|各|者|彼|摂"
)


def titled_names(page: Page) -> list[Span]:
    """Return the names that a title marks, without the title."""
    patterns = [_WESTERN]
    patterns += {"zh": [_CHINESE_TITLE], "ja": [_JAPANESE_TITLE]}.get(page.language, [])
    return [
        Span("NAME", found.start("name"), found.end("name"))
        for pattern in patterns
        for found in pattern.finditer(page.text)
        if pattern is not _JAPANESE_TITLE or not _NO_JAPANESE.search(found["name"])
    ]
