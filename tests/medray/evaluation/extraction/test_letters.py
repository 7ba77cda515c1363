from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.evaluation.extraction import extract

# (generated answer, letters, rule), for a question with the options A to E.
ANSWERS = [
    # The trained form, in the six languages.
    ("###Rationale: Scurvy lacks it.\n###Answer: OPTION B IS CORRECT.", "B", "option"),
    ("###Rationale: 维生素C缺乏。\n###Answer: OPTION C IS CORRECT.", "C", "option"),
    ("###Rationale: ビタミンCが不足。\n###Answer: OPTION A,C IS CORRECT.", "AC", "option"),
    ("###Rationale: Le scorbut.\n###Answer: OPTION A, B, D IS CORRECT.", "ABD", "option"),
    ("###Rationale: Цинга.\n###Answer: OPTION B IS CORRECT.", "B", "option"),
    ("###Rationale: El escorbuto.\n###Answer: OPTION E IS CORRECT.", "E", "option"),
    # The same, bent by a model that learned it half.
    ("### answer: option b is correct", "B", "option"),
    ("OPTION:D", "D", "option"),
    ("OPTION C，A IS CORRECT", "AC", "option"),
    ("OPTION B、D", "BD", "option"),
    ("OPTION A,A", "A", "option"),
    ("OPTION A, Because it is.", "A", "option"),
    ("###Answer: OPTION B", "B", "option"),
    ("OPTION A is wrong, OPTION D IS CORRECT.", "D", "option"),
    ("答案是OPTION B。", "B", "option"),
    ("OPTION B是正确的", "B", "option"),
    ("正解はOPTION Aです", "A", "option"),
    ("Верный ответ: OPTION C.", "C", "option"),
    # The letter alone.
    ("B", "B", "bare"),
    ("(B)", "B", "bare"),
    ("（C）", "C", "bare"),
    ("A, C", "AC", "bare"),
    ("B. Vitamin C", "B", "bare"),
    ("D) El corazón", "D", "bare"),
    ("E: 心臓", "E", "bare"),
    ("A、C", "AC", "bare"),
    ("\n\n  C\n", "C", "bare"),
    ("C\nBecause scurvy is its lack.", "C", "bare"),
    # Said in words.
    ("The correct answer is **C**.", "C", "stated"),
    ("A. fever\nB. cough\nThe best answer is (B), for it is dry.", "B", "stated"),
    ("The answer is B because of scurvy", "B", "stated"),
    ("It could be that the answer is A. No: the answer is D.", "D", "stated"),
    ("The correct options are A, C and D.", "ACD", "stated"),
    ("Final answer: b", "B", "stated"),
    ("Option (E) is the correct answer", "E", "stated"),
    ("D is the best choice here", "D", "stated"),
    ("A is correct", "A", "stated"),
    ("因此，正确答案是B。", "B", "stated"),
    ("答案：ACD", "ACD", "stated"),
    ("故选Ｄ。", "D", "stated"),
    ("B选项正确，故答案为B", "B", "stated"),
    ("正解はCです。", "C", "stated"),
    ("答えはAとCです", "AC", "stated"),
    ("したがって、Eが正解です", "E", "stated"),
    ("La bonne réponse est la réponse D.", "D", "stated"),
    ("Réponses : A, B et E", "ABE", "stated"),
    ("Les réponses correctes sont B et C.", "BC", "stated"),
    ("La respuesta correcta es la C.", "C", "stated"),
    ("Respuesta: opción B", "B", "stated"),
    ("Правильный ответ: B", "B", "stated"),
    ("Ответ — C.", "C", "stated"),
    # JSON, whole or broken.
    ('{"step_by_step": "It is not B.", "answer_choice": "C"}', "C", "json"),
    ('{"answer": ["A", "C"]}', "AC", "json"),
    ('Sure!\n```json\n{"answer": "D. Heart"}\n```', "D", "json"),
    ('{"step_by_step": "He said "no"", "answer_choice": "B"}', "B", "json"),
    ('{"answer_choice": "E', "E", "json"),
    ('{"答案": "B"}', "B", "json"),
    ('{"reason": "the answer is B", "answer": "None of the above"}', "", "unparsed"),
    ('{"answer": null}', "", "unparsed"),
    # Small letters, and nothing else.
    ("a,c", "AC", "bare"),
    ("a, c", "AC", "bare"),
    ("d", "D", "bare"),
    ("ACD", "ACD", "bare"),
    # Letters that are no answer.
    ("The answer is a fever", "", "unparsed"),
    ("Answer: A patient with fever should rest", "", "unparsed"),
    ("Answer: I think so", "", "unparsed"),
    ("The answer is BED rest", "", "unparsed"),
    ("BAD", "", "unparsed"),
    ("The answer is B12 deficiency", "", "unparsed"),
    ("The answer is C's", "", "unparsed"),
    ("", "", "unparsed"),
    ("   \n", "", "unparsed"),
    ("A 62-year-old man with chest pain", "", "unparsed"),
    ("A los tres días aparece fiebre", "", "unparsed"),
    ("E il cuore", "", "unparsed"),
    ("B型肝炎", "", "unparsed"),
    ("C反应蛋白升高", "", "unparsed"),
    ("D-dimer is raised", "", "unparsed"),
    ("Answer unknown", "", "unparsed"),
    ("Best treatment", "", "unparsed"),
    ("OPTION", "", "unparsed"),
    ("OPTION F IS CORRECT", "", "unparsed"),
    ("OPTION A,H IS CORRECT", "", "unparsed"),
    ("J", "", "unparsed"),
    ("OPTIONAL BEDREST", "", "unparsed"),
    ("ADOPTION B", "", "unparsed"),
    ("OPTION Été", "", "unparsed"),
    ("В", "", "unparsed"),  # a Cyrillic letter that looks like B
    ("心筋梗塞", "", "unparsed"),
    ("Инфаркт миокарда", "", "unparsed"),
]


@pytest.mark.parametrize(("text", "letters", "rule"), ANSWERS)
def test_real_looking_answers(text: str, letters: str, rule: str) -> None:
    found = extract(text, "ABCDE")
    assert ("".join(found.letters), found.rule) == (letters, rule)


OPTIONS = {"A": "Diabetes", "B": "Type 2 diabetes", "C": "Вирус гриппа", "D": "心筋梗塞", "E": "да"}


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("Type 2 diabetes.", "B"),
        ("It is type 2 diabetes", "B"),
        ("diabetes", "A"),
        ("вирус гриппа", "C"),
        ("Да", "E"),
        ("да, конечно", "E"),
        ("心筋梗塞。", "D"),
        ("###Rationale: Not diabetes.\n###Answer: Вирус гриппа", "C"),
        ('{"answer": "Type 2 diabetes"}', "B"),
        ("diabetes or вирус гриппа", ""),
        ("диабет", ""),
        ("дача", ""),
        ("Diabetes is a disease. " * 10, ""),  # long answers speak of several options
    ],
)
def test_an_options_text_stands_for_its_letter(text: str, letters: str) -> None:
    assert "".join(extract(text, OPTIONS).letters) == letters


def test_a_letter_beyond_the_questions_options_is_no_answer() -> None:
    assert extract("OPTION C IS CORRECT", "AB").letters == ()
    assert extract("C", "AB").letters == ()
    assert extract("C", "ABC").letters == ("C",)


def test_a_letter_at_the_beginning_counts_where_the_option_is_none() -> None:
    assert extract("B. As OPTION H says", "ABCD").letters == ("B",)


@pytest.mark.parametrize(
    ("text", "rationale"),
    [
        ("###Rationale: Why.\n###Answer: OPTION A IS CORRECT.", "Why."),
        ("###Rationale:Why.\n### answer", "Why."),
        ("Why.\n\n###Answer: OPTION A", "Why."),
        ("Why without an end", "Why without an end"),
        ("###Answer: OPTION A IS CORRECT.", ""),
        ("", ""),
        ("###Rationale: 一。\n二。\n###Answer: OPTION A", "一。\n二。"),
    ],
)
def test_the_rationale_is_what_stands_before_the_answer(text: str, rationale: str) -> None:
    assert extract(text, "ABCD").rationale == rationale


PIECES = st.lists(
    st.sampled_from(
        [
            "OPTION",
            "answer is ",
            '{"answer": ',
            '"B"}',
            "réponse : ",
            "答案",
            "option ",
            " A",
            ",B",
            "、C",
            ":",
            "###Answer",
            "\n",
            "是",
            "K",
            "ı",
        ]
    )
    | st.text(max_size=4),
    max_size=12,
).map("".join)


@given(PIECES, st.text("ABCDEFGHIJ", max_size=6))
def test_any_text_gives_options_or_nothing(text: str, options: str) -> None:
    found = extract(text, options)
    assert set(found.letters) <= set(options)
    assert list(found.letters) == sorted(set(found.letters))
    assert (found.rule == "unparsed") == (found.letters == ())
    assert found.rationale in text


@given(
    st.sets(st.sampled_from("ABCDEFGHIJ"), min_size=1),
    st.sampled_from([",", ", ", "、", "， ", " , "]),
    st.sampled_from(["OPTION {} IS CORRECT.", "option {}", "答えはOPTION {}です。", "({})", "{}"]),
    st.sampled_from(["", "###Rationale: Why.\n###Answer: "]),
)
def test_every_set_of_letters_is_read_back(
    letters: set[str], separator: str, form: str, before: str
) -> None:
    text = form.format(separator.join(sorted(letters)))
    if "option" in form.lower():
        text = before + text
    assert extract(text, "ABCDEFGHIJ").letters == tuple(sorted(letters))
