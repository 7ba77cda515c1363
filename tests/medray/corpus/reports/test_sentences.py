from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.corpus.reports.sentences import split_sentences
from medray.languages import LANGUAGES

CODES = st.sampled_from(list(LANGUAGES))
NASTY = st.text("aAéЯж.!?…。！？ \n\r\u2028\t\u3000\u00a0\"'”」»)」と，19医はDrfigp", max_size=60)


def sentences(text: str, language: str) -> list[str]:
    return [text[start:end] for start, end in split_sentences(text, language)]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Dr. Smith et al. (see Fig. 3) gave 3.5 mg. | The dose, e.g. 5 mg, helped!"),
        ("en", '"Really?" | He said no. | Allergies: no. | Smoker: no. | See No. 4.'),
        ("en", "It was 37.5 C. | The child (aged 2.5 years.) | Slept... | Then J. R. Brown came."),
        ("en", "On 12 Jan. 2020 she came vs. Mr. Hyde at www.example.org today."),
        ("fr", "M. Dupont, p. ex. le Dr. Martin, a 3,5 ans. | Et lui ? | « Rien. » | Il part."),
        ("fr", "Voir fig. 2 et le 3 janv. 2020. | Mme. Curie est là."),
        ("es", "El Dr. Pérez vio a la Sra. Gómez (pág. 12). | ¿Qué? | ¡Nada! | Va a EE. UU. hoy."),
        ("ru", "Больной лечился в г. Москва у проф. И. П. Павлова (рис. 2 и др.). | Он здоров."),
        ("ru", "Операция в 2020 г. прошла успешно. | Умер в 2021 г. | Больной был стар."),
        ("zh", "体温37.5℃！| 是吗？| “是的。”| 医生说：“好。”，然后走了。| H. pylori 阳性。"),
        ("ja", "「はい。」と言った。| 体温は37.5度です。| 次に…どうする？| 終わり"),
        ("ja", "ＭＲＩ検査（造影あり。）| 異常なし．| 以上｡"),
    ],
)  # fmt: skip
def test_sentences_end_where_a_reader_would_end_them(language: str, text: str) -> None:
    expected = [piece.strip() for piece in text.split("|")]
    assert sentences(text.replace("|", ""), language) == expected


def test_a_line_break_ends_a_sentence_and_a_list_number_does_not() -> None:
    text = "1. Introduction\n\n2. Methods and\u2028materials\r\na) none\n---\n17\n  A. Last  "
    assert sentences(text, "en") == [
        "1. Introduction",
        "2. Methods and",
        "materials",
        "a) none",
        "A. Last",
    ]


@given(NASTY, CODES)
def test_every_letter_lies_in_one_sentence_and_in_order(text: str, language: str) -> None:
    reached = 0
    for start, end in split_sentences(text, language):
        assert reached <= start < end
        assert text[start:end] == text[start:end].strip()
        assert not any(character.isalpha() for character in text[reached:start])
        assert not set(text[start:end]) & set("\n\r\u2028")
        reached = end
    assert not any(character.isalpha() for character in text[reached:])


@given(st.lists(NASTY, max_size=4), CODES)
def test_lines_are_split_each_alone(lines: list[str], language: str) -> None:
    joined = sentences("\n".join(lines), language)
    assert joined == [sentence for line in lines for sentence in sentences(line, language)]


@pytest.mark.parametrize(
    "unit", [" ", ".", ". ", "Dr. ", "\n", "a", ".\u3000", ".'", "1. ", "A.", "。と", " \u00a0»."]
)
def test_no_text_takes_more_than_linear_time(unit: str) -> None:
    """Ten times the text may take thirty times as long; a quadratic rule takes a hundred."""

    def seconds(characters: int) -> float:
        text = "x" + unit * (characters // len(unit)) + "x"
        start = time.process_time()
        split_sentences(text, "en")
        return time.process_time() - start

    short = min(seconds(25_000) for _ in range(3))
    assert seconds(250_000) < 30 * short + 0.05


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(KeyError):
        split_sentences("Ein Satz.", "de")
