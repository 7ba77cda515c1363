"""Is a page's recognised text fit for a corpus? Its status, from the text and the confidence."""

from __future__ import annotations

from typing import Literal

from medray.languages import language

RecognisedStatus = Literal["ok", "blank", "low_confidence", "wrong_script"]

# Noise on an empty page reads as one to three marks; the shortest part title is longer.
FEWEST_LETTERS = 4
# Russian read by a recogniser without Cyrillic letters scores .70 to .82, at a character error
# rate of .95; right pages of all six languages score .92 and more.
LOWEST_CONFIDENCE = 0.85
# The same misread Russian is all Latin letters and digits: a share of 0. Of 4,184 web documents
# in Chinese, Japanese and Russian 3 fall below .3 (23 below .5, full of Latin names and codes).
SMALLEST_SCRIPT_SHARE = 0.3


def script_share(text: str, language_code: str) -> float:
    """Return the share of the text's letters that the language's script has; 0 without letters."""
    script = language(language_code).script
    letters = [character for character in text if character.isalpha()]
    own = sum(script.match(letter) is not None for letter in letters)
    return own / len(letters) if letters else 0.0


def page_status(text: str, confidence: float, language_code: str) -> RecognisedStatus:
    """Return the status of one recognised page; ``confidence`` is the page's mean, 0..1.

    The script comes before the confidence: it says more about what went wrong.
    """
    if sum(character.isalnum() for character in text) < FEWEST_LETTERS:
        return "blank"
    if script_share(text, language_code) < SMALLEST_SCRIPT_SHARE:
        return "wrong_script"
    return "low_confidence" if confidence < LOWEST_CONFIDENCE else "ok"
