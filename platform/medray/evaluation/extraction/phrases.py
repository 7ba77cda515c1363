"""The words around an answer's letters in six languages, as regular expressions."""

from __future__ import annotations

import re

# A character that would make a longer word of a Latin one. Han and kana do not, and stand there
# without a blank: 答案是OPTION B。
WORD = r"[^\W぀-ヿ㐀-䶿一-鿿]"
# Between the letters of several: "A, C", "A et C", "A和C".
_JOIN = r"\s*(?:[,、;/&+]|\band\b|\bor\b|\bet\b|\bou\b|\by\b|\bo\b|\bи\b|\bили\b|和|及|或|と|か)\s*"
# One letter, or several with a sign between, or joined ("ACD").
LETTERS = rf"[A-J](?:(?:{_JOIN})+[A-J])*(?!{WORD})(?!['’-]\w)|[A-J]{{2,10}}(?!{WORD})"
# Signs that stand before a letter: **B**, (B), "B", 「B」.
_OPEN = r"[\s*_`\"'“‘(\[{<「【$\\]*"
# "A patient", "I think": not the letters. But "A is right", "A because".
_NO_ARTICLE = (
    r"(?![AI]\s+(?!(?:is|are|and|or|because|since|as|est|et|ou|car|es|y|o|porque)\b)[a-zà-ÿ0-9])"
)
_HEAD = {
    "en": r"\b(?:answers?|choices?|options?)(?:\s+(?:choice|option|letter))?"
    r"\s*(?:is|are|was|would be|:|=)\s*:?\s*(?:the\s+)?(?:options?|choices?|letters?)?",
    "zh": r"(?:答案|选项|答)\s*(?:应该|应当|应|就|可能)?\s*(?:是|为|选|:)\s*:?\s*(?:选项|选择|选)?",
    "zh_choose": r"(?:故|应|因此|所以|正确|我)\s*(?:正确)?(?:选择|选)\s*(?:是|:)?",
    "ja": r"(?:正解|正答|解答|回答|答え|答)\s*(?:は|が|:)\s*:?\s*(?:選択肢|選択肢の)?",
    "fr": r"\b(?:réponses?|options?|propositions?)(?:\s+\w+)?\s*(?:est|sont|serait|:)\s*:?\s*"
    r"(?:la\s+|l['’]|les\s+)?(?:réponses?\s+|options?\s+|propositions?\s+|lettres?\s+)?",
    "es": r"\b(?:respuestas?|opción|opciones|alternativa)(?:\s+\w+)?\s*(?:es|son|sería|:)\s*:?\s*"
    r"(?:la\s+|las\s+)?(?:respuestas?\s+|opción\s+|opciones\s+|letras?\s+)?",
    "ru": r"\bответ\w*\s*(?:[-—–:=]|это|является|будет)\s*:?\s*(?:вариант\w*\s*|под\s+буквой\s*)?",
}
# "The answer is (B)", 答案是B, 正解はB, la réponse est B, la respuesta es B, ответ: B.
STATED = re.compile(
    rf"(?:{'|'.join(_HEAD.values())}){_OPEN}{_NO_ARTICLE}(?P<letters>{LETTERS})", re.IGNORECASE
)
# "B is the right answer", Bが正解, B正确, B est exacte.
STATED_BEHIND = re.compile(
    rf"(?<!{WORD})(?P<letters>{LETTERS})[\s*_`\"'”’)\]}}>」】.:]*"
    r"(?:(?:is|are)\s+(?:the\s+)?(?:correct|right|best|most appropriate)|(?:が|は)(?:正解|正しい)|"
    r"(?:是|为)?(?:正确|对的)|(?:est|sont)\s+(?:\w+\s+)?(?:correcte?s?|exacte?s?|vraie?s?|justes?)|"
    r"(?:es|son)\s+(?:la\s+)?(?:correctas?|verdaderas?)|(?:является\s+)?(?:верн|правильн)\w+)"
)
