"""The one registry of the six languages: names, script, word segmentation, engines' codes."""

from __future__ import annotations

import re
from dataclasses import dataclass

Code = str


@dataclass(frozen=True)
class Language:
    """One language, with every property that some part of medray needs of it.

    ``exam_name`` is the file stem that MMedBench uses (English.jsonl). ``spaced`` says whether
    words stand between blanks; where they do not (zh, ja), keywords match as substrings and
    metrics cut by character. ``script`` matches one character of the language's own script.
    """

    code: Code
    exam_name: str
    native_name: str
    spaced: bool
    script: re.Pattern[str]
    paddle_name: str | None  # PaddleOCR's `lang`; None: the bundled recogniser has no such letters
    tesseract_name: str


_HAN = "㐀-䶿一-鿿"
_LATIN = re.compile(r"[A-Za-zÀ-ÖØ-öø-ÿĀ-ſ]")

LANGUAGES: dict[Code, Language] = {
    language.code: language
    for language in (
        Language("en", "English", "English", True, _LATIN, "en", "eng"),
        Language("zh", "Chinese", "中文", False, re.compile(f"[{_HAN}]"), "ch", "chi_sim"),
        Language("ja", "Japanese", "日本語", False, re.compile(f"[぀-ヿ{_HAN}]"), "japan", "jpn"),
        Language("fr", "French", "français", True, _LATIN, "fr", "fra"),
        Language("ru", "Russian", "русский", True, re.compile(r"[Ѐ-ӿ]"), None, "rus"),
        Language("es", "Spanish", "español", True, _LATIN, "es", "spa"),
    )
}


def language(code: Code) -> Language:
    """Return the language of ``code``; ``KeyError`` names the six that exist."""
    try:
        return LANGUAGES[code]
    except KeyError:
        raise KeyError(f"no language {code!r}; there are {', '.join(LANGUAGES)}") from None
