"""A text as the rules see it: look-alike digits, letters, blanks and hyphens made plain ASCII.

One character stays one character, so a place in the page is a place in the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from medray.languages import Code

# Full-width forms (U+FF01-FF5E) as Chinese and Japanese notes have them, without the punctuation
# that ends a field (，；：！？): the rules know both forms of these.
_PLAIN = {
    **{chr(c): chr(c - 0xFEE0) for c in range(0xFF01, 0xFF5F) if chr(c) not in "，；：！？"},
    **dict.fromkeys("\u00a0\u2007\u2008\u2009\u200a\u202f\u3000", " "),
    **dict.fromkeys("‐‑‒–—―−", "-"),
}
_UNPLAIN = re.compile("[" + "".join(map(re.escape, _PLAIN)) + "]")
# The long-vowel mark stands for a hyphen between digits: ０３ー１２３４ー５６７８.
_LONG_MARK = re.compile("(?<=[0-9０-９])ー(?=[0-9０-９])")


@dataclass(frozen=True)
class Page:
    """``text``: plain form; ``folded``: the same in small letters; both as long as the original.

    ``regions``: ISO 3166 codes of the countries whose national telephone numbers count.
    """

    text: str
    folded: str
    language: Code
    regions: tuple[str, ...]

    @classmethod
    def of(cls, text: str, language: Code, regions: tuple[str, ...]) -> Page:
        """Read a text; ``language`` is one of medray.languages."""
        if not text.isascii():
            text = _UNPLAIN.sub(lambda found: _PLAIN[found[0]], text)
            if "ー" in text:
                text = _LONG_MARK.sub("-", text)
        return cls(text, _lower(text), language, regions)


def _lower(text: str) -> str:
    """Return the text in small letters, of the same length: "İ" alone, which would grow, stays."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "İ".join(part.lower() for part in text.split("İ"))


def is_cased(character: str) -> bool:
    """Say whether a character is a letter of a script with capitals: none of Han and kana."""
    return character.lower() != character.upper()


def opens_field(text: str, start: int) -> bool:
    """Say whether a label stands at the start of a line, a sentence or a field."""
    before = text[max(0, start - 3) : start]
    stripped = before.rstrip(" *_#>-\t")
    if not stripped or stripped[-1] in "\n\r;,|:：；，。、([（" or before.endswith("  "):
        return True
    return stripped[-1] == "." and stripped != before  # a sentence's end, not "user.name"
