"""What the step replaces and what it leaves, rule by rule."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from stdnum.gb import nhs
from stdnum.jp import in_ as my_number
from stdnum.ru import inn

from medray.corpus.deidentification.checksums import is_valid_snils
from medray.corpus.deidentification.deidentify import Deidentify, DeidentifyConfig
from medray.corpus.deidentification.spans import Span, align, counts, replace_spans
from medray.languages import LANGUAGES

REAL_CORPUS = Path(__file__).parents[5] / "shared" / "data" / "corpus"
STEP = Deidentify(DeidentifyConfig())


def tagged(text: str, code: str = "en", step: Deidentify = STEP) -> str:
    return replace_spans(text, step.spans(text, code))


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        ("en", "Patient: John Smith, Male, 45", "Patient: [NAME], Male, 45"),
        (
            "en",
            "PATIENT NAME: JOHN SMITH\nDOB: 01/02/1960",
            "PATIENT NAME: [NAME]\nDOB: [BIRTH_DATE]",
        ),
        (
            "en",
            "| Patient name | John Smith |\n| MRN | 0012345 |",
            "| Patient name | [NAME] |\n| MRN | [RECORD_NUMBER] |",
        ),
        ("en", "Patient Name:\nJohn Smith\n", "Patient Name:\n[NAME]\n"),
        ("en", "Surname: Smith", "Surname: [NAME]"),
        ("en", "Name: 王小明", "Name: [NAME]"),
        (
            "en",
            "Phone: (555) 123-4567 ext. 12, or 555-987-6543",
            "Phone: [TELEPHONE], or [TELEPHONE]",
        ),
        (
            "en",
            "National Insurance number: QQ 12 34 56 C",
            "National Insurance number: [NATIONAL_ID]",
        ),
        ("en", "Passport no. 533380006", "Passport no. [NATIONAL_ID]"),
        ("en", "IBAN GB82 WEST 1234 5698 7654 32.", "IBAN [ACCOUNT_NUMBER]."),
        ("en", "paid with 4111 1111 1111 1111 today", "paid with [ACCOUNT_NUMBER] today"),
        ("en", "IP address: 192.168.12.40.", "IP address: [IP_ADDRESS]."),
        ("zh", "患者李某某，女，52岁", "患者[NAME]，女，52岁"),
        ("zh", "姓名 王小明 性别 男", "姓名 [NAME] 性别 男"),
        ("zh", "姓名：John Smith", "姓名：[NAME]"),
        ("zh", "出生于1965年3月12日，1970年3月1日出生", "出生于[BIRTH_DATE]，[BIRTH_DATE]出生"),
        (
            "ja",
            "患者名：山田 太郎様（昭和40年3月12日生まれ）",
            "患者名：[NAME]様（[BIRTH_DATE]生まれ）",
        ),
        ("ja", "保険証番号：12345678", "保険証番号：[NATIONAL_ID]"),
        ("fr", "Nom : DUPONT\u00a0Jean", "Nom : [NAME]"),
        ("fr", "BE : 0471 12 34 56", "BE : [TELEPHONE]"),
        ("ru", "Больной Иванов И.И., 45 лет", "Больной [NAME], 45 лет"),
        ("ru", "Петров П.П., 12.03.1965 г.р.", "Петров П.П., [BIRTH_DATE] г.р."),
        ("ru", "паспорт 4510 123456 выдан 01.02.2003", "паспорт [NATIONAL_ID] выдан 01.02.2003"),
        ("es", "CIP: ABCD123456789012", "CIP: [NATIONAL_ID]"),
        ("es", "Cel. 55 1234 5678", "Cel. [TELEPHONE]"),
    ],
)  # fmt: skip
def test_forms_are_replaced(code: str, text: str, expected: str) -> None:
    assert tagged(text, code) == expected


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "Metformin 500 mg twice daily, 1,000-2,000 mg/day; insulin 0.5 U/kg; 5 mL/h."),
        ("en", "WBC 5700/mm3 (N: 4400-11300), platelets 150-400 x 10^9/L, LDH 1234567 U/L"),
        (
            "en",
            "PMID: 31452104; PMC6715489; doi:10.1016/j.jamda.2019.06.012; https://x.org/2125550123",
        ),
        ("en", "NCT01234567, ISRCTN12345678, EudraCT 2009-012345-12, ACTRN12605000123456"),
        ("en", "ISBN 978-0-19-852663-6, ISSN 1234-5679, CAS 50-78-2, OMIM 176943, rs334000123"),
        (
            "en",
            "NDC 0002-8215-01 and NDC 50580-449-01; ATC A10BA02; "
            "ICD-10 E11.9, C50.911; ICD-O 8140/3",
        ),
        ("en", "95% CI 1.2-3.4; n = 1234567; p = 0.0001; N=2125550123; pp. 1123-1130; 2012-2019"),
        (
            "en",
            "The name: of the rose. Patient: Female adult. "
            "Patient: A 45-year-old man. Name: Aspirin",
        ),
        ("en", "Brand name: Advil Cold Sinus. Patient Health Questionnaire. file_name: Big Data"),
        ("en", "T cell: 1 200 000 per mL; IP 10 mg/kg; NIR 780-1400 nm; section 4.4.1.2; v1.2.3.4"),
        ("en", "3 Patients Dr. Smith saw; 10 Years Later; 5 Court orders; Mr Smith said"),
        (
            "en",
            "GenBank accession number AY123456; lot 1234567890; ref. 3125550123; Grant 2125550123",
        ),
        (
            "zh",
            "患者男，45岁，血压120/80mmHg，国药准字H20113456，批号20190312，"
            "第3号线，DOI 10.3760/cma.j.issn",
        ),
        ("zh", "患者：高血压病史10年。姓名不详，性别女。住院患者300例，基金项目（81770123）"),
        ("ja", "国道41号、2丁目、症例番号3、年齢45歳、2019年3月12日手術、氏名は不明"),
        (
            "fr",
            "CIP 34009 123 456 7 8; le cours 3 Septembre; 500 mg 3 fois par jour; M. Macron a dit",
        ),
        (
            "fr",
            "Nom commercial : Doliprane Enfant. ATU 2015-123456; IC 95 % 1,2-3,4; 01 02 03 mars",
        ),
        (
            "ru",
            "12345678 МЕ; 10 000 000 КОЕ; 2010-2015; 12 345 678 руб.; ГОСТ 8.417-2002; г-н Путин",
        ),
        (
            "es",
            "612.345.678 euros; 123 456 789 células; 2.400.000 "
            "UI; alta a domicilio: TA 100/50 FC 103",
        ),
        ("es", "Ley 12345678; 12345678A no es un DNI; el señor García habló; la calle 3 veces"),
    ],
)  # fmt: skip
def test_medical_and_published_text_is_untouched(code: str, text: str) -> None:
    assert tagged(text, code) == text


def test_wrong_checksums_are_national_ids_only_after_a_label() -> None:
    for code, number, label in (
        ("zh", "110105194912310021", "身份证号："),
        ("fr", "2 95 10 99 126 111 92", "NIR : "),
        ("es", "12345678A", "DNI: "),
        ("ru", "112-233-445 96", "СНИЛС "),
    ):
        assert "NATIONAL_ID" not in tagged(f"x {number} y", code), number
        assert tagged(f"{label}{number}", code) == f"{label}[NATIONAL_ID]"


def test_weak_checksums_need_a_word_near() -> None:
    assert nhs.is_valid("9434765919") and inn.is_valid("500100732259")
    assert my_number.is_valid("621498320257")
    for code, number, near in (
        ("en", "943 476 5919", "His NHS card, which he keeps at home, says "),
        ("ru", "500100732259", "ИНН заявителя, по его словам, "),
        ("ja", "6214 9832 0257", "マイナンバーカードを確認した。その番号は"),
        ("ru", "11223344595", "СНИЛС застрахованного лица "),
    ):
        assert tagged(f"xx {number} yy", code) == f"xx {number} yy"
        assert tagged(f"{near}{number}.", code) == f"{near}[NATIONAL_ID]."


@given(st.text("0123456789", min_size=9, max_size=9), st.integers(0, 99))
def test_snils_has_one_check_number(body: str, check: int) -> None:
    valid = [is_valid_snils(f"{body}{number:02}") for number in range(100)]
    assert sum(valid) == (int(body) > 1001998)
    assert is_valid_snils(f"{body[:3]}-{body[3:6]}-{body[6:]} {check:02}") == valid[check]


def test_known_snils() -> None:
    assert is_valid_snils("112-233-445 95")  # the example in the rule's own text
    assert not is_valid_snils("112-233-445 9５")


def test_a_marked_name_is_replaced_wherever_it_stands_again() -> None:
    text = "Patient: Anna Rose\nMrs Rose sleeps well. A rose is a flower. Anna walks; Annabel too."
    expected = (
        "Patient: [NAME]\nMrs [NAME] sleeps well. A rose is a flower. [NAME] walks; Annabel too."
    )
    assert tagged(text) == expected
    once = Deidentify(DeidentifyConfig(repeated_names=False, titled_names="never"))
    assert tagged(text, step=once) == text.replace("Anna Rose", "[NAME]")
    assert tagged("姓名：王小明。今日王小明诉头痛", "zh") == "姓名：[NAME]。今日[NAME]诉头痛"


@pytest.mark.parametrize(
    ("code", "record", "text", "expected"),
    [
        ("en", "MRN: 1234567. ", "Mr Brown sleeps.", "Mr [NAME] sleeps."),
        ("fr", "IPP : 1234567. ", "Mme Durand dort.", "Mme [NAME] dort."),
        ("es", "NHC: 1234567. ", "la Sra. García duerme", "la Sra. [NAME] duerme"),
        ("ru", "Дата рождения: 01.02.1960. ", "г-н Иванов спит", "г-н [NAME] спит"),
        ("zh", "住院号：123456。", "王先生睡眠好", "[NAME]先生睡眠好"),
        ("ja", "カルテ番号：123456。", "山田様は眠る", "[NAME]様は眠る"),
    ],
)
def test_titles_name_a_patient_in_records_only(
    code: str, record: str, text: str, expected: str
) -> None:
    never = Deidentify(DeidentifyConfig(titled_names="never"))
    always = Deidentify(DeidentifyConfig(titled_names="always"))
    assert tagged(text, code) == text
    assert tagged(record + text, code).endswith(expected)
    assert tagged(record + text, code, never).endswith(text)
    assert tagged(text, code, always) == expected


def test_only_the_kinds_asked_for_are_replaced() -> None:
    text = "MRN: 1234567, ann@example.org, SSN 123-45-6789"
    only = Deidentify(DeidentifyConfig(kinds=("EMAIL",)))
    assert tagged(text, step=only) == "MRN: 1234567, [EMAIL], SSN 123-45-6789"
    assert set(counts(STEP.spans(text, "en"))) == {"RECORD_NUMBER", "EMAIL", "NATIONAL_ID"}


def test_telephone_regions_are_the_users_to_choose() -> None:
    portuguese = Deidentify(DeidentifyConfig(telephone_regions={"en": ("PT",)}))
    text = "please call us on 912 345 678 now"
    assert tagged(text) == text
    assert tagged(text, step=portuguese) == "please call us on [TELEPHONE] now"


@pytest.mark.parametrize(
    "wrong",
    [
        {"tag_format": "[X]"},
        {"kinds": ()},
        {"kinds": ("NOSE",)},
        {"telephone_regions": {"en": ("XX",)}},
        {"telephone_regions": {"de": ("DE",)}},
    ],
)
def test_wrong_configurations_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DeidentifyConfig.model_validate(wrong)


def test_the_step_keeps_every_text_and_says_where_tags_stand() -> None:
    texts = ["", "🩺 MRN: 1234567 ok", "nothing here", "姓名：张三，手机13812345678"]
    judged = Deidentify(DeidentifyConfig(tag_format="<{kind}>"))(pa.array(texts), "zh")
    assert judged.reasons.null_count == len(texts) and judged.texts is not None
    assert judged.texts.to_pylist() == [
        "", "🩺 MRN: <RECORD_NUMBER> ok", "nothing here", "姓名：<NAME>，手机<TELEPHONE>",
    ]  # fmt: skip
    assert judged.scores["deidentified"].to_pylist() == [0, 1, 0, 2]
    row = judged.scores["spans"][1].as_py()
    assert row == [{"kind": "RECORD_NUMBER", "start": 7, "end": 14}]
    spans = [Span(s["kind"], s["start"], s["end"]) for s in row]
    place = align(spans, "<{kind}>").to_original(judged.texts[1].as_py().index(" ok"))
    assert texts[1][place:] == " ok"


def test_a_batch_without_finds_leaves_the_texts_as_they_are() -> None:
    judged = STEP(pa.array(["fever and cough", "発熱"]), "ja")
    assert judged.texts is None
    assert judged.scores["spans"].to_pylist() == [[], []]
    assert STEP(pa.array([], pa.string()), "en").scores["deidentified"].to_pylist() == []


PIECES = [
    "Patient: ", "Name: John Smith", "姓名：", "张三", "Calle A 1", "ул. Ленина, 5", "１", "@",
    "a.b@c.de", "212-555-0123", "+33 1", "MRN: 77", "DOB: ", "1/2/1960", "〒160-0023", "İ", "é",
    "🩺", "\n", " ", "(", "2A", "ー", "北京路1号", "г.р.", "DNI ", "12345678Z", "Mr A", "|",
    "\t", "No. ", "[NAME]",
]  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=25),
    st.sampled_from(list(LANGUAGES)),
)
def test_any_text_gives_sorted_disjoint_spans_inside_it(pieces: list[str], code: str) -> None:
    text = "".join(pieces)
    last = 0
    for span in STEP.spans(text, code):
        assert last <= span.start < span.end <= len(text)
        last = span.end


HOSTILE = [
    "1", " ", "a", "@", "a@", "1 ", "1-", "A ", "A. ", "Patient: A. ", "Name: John ", "Calle A ",
    "ул. А ", "1 rue A ", "12 A A Street ", "Tel: 1 ", "DOB: 1/", "Address: a ", "住所：",
    "姓名：张",
    "東京都新宿区", "MRN: ", "(212) 555-", "A-", "A'", "1.1.", "110105194912310021",
]  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE)
def test_time_is_linear_in_hostile_text(unit: str) -> None:
    """Ten times the text takes about ten times as long; a quadratic rule would take a hundred."""

    def seconds(characters: int) -> float:
        text = (unit * characters)[:characters]
        runs = []
        for _ in range(2):
            start = time.process_time()
            STEP.spans(text, "en")
            runs.append(time.process_time() - start)
        return min(runs)

    STEP.spans(unit, "en")
    short, long = seconds(10_000), seconds(100_000)
    assert long < 30 * short + 0.05


@pytest.mark.parametrize("unit", ["1", " ", "a", "@"])
def test_a_megabyte_of_one_character_is_no_more_than_sixty_scans_in_python(unit: str) -> None:
    text = unit * 1_000_000
    start = time.process_time()
    assert sum(1 for character in text if character == unit) == len(text)
    scan_s = time.process_time() - start
    start = time.process_time()
    assert STEP.spans(text, "en") == []
    assert time.process_time() - start < 60 * scan_s


@pytest.mark.skipif(not REAL_CORPUS.is_dir(), reason="the real corpus is not beside the checkout")
@pytest.mark.parametrize("code", LANGUAGES)
def test_published_text_holds_hardly_any_patient(code: str) -> None:
    """Names, record numbers and national ids in published text are nearly all false finds."""
    texts = pq.read_table(REAL_CORPUS / code / f"{code}_part_00000.parquet")["text"].to_pylist()
    found = counts(span for text in texts for span in STEP.spans(text, code))
    for kind in ("NATIONAL_ID", "RECORD_NUMBER", "NAME", "ACCOUNT_NUMBER"):
        assert found.get(kind, 0) <= 5 * len(texts) / 1000, (kind, found)
