"""Recall on generated notes: six languages, valid numbers, the forms that README.md names."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pyarrow as pa
import pytest
from stdnum.cn import ric
from stdnum.es import dni, nie
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.jp import in_ as my_number
from stdnum.ru import inn

from medray.corpus.deidentification.deidentify import Deidentify, DeidentifyConfig
from medray.languages import LANGUAGES

NOTES = 60
REACH = 0.98

# A field of a note: its kind, and parts of a line of which every second one is personal.
Field = tuple[str, tuple[str, ...]]
Draw = random.Random


def digits(draw: Draw, count: int, first: str = "0123456789") -> str:
    return draw.choice(first) + "".join(draw.choices("0123456789", k=count - 1))


def identity_card(draw: Draw) -> str:
    body = f"110105{draw.randint(1940, 2015)}{draw.randint(1, 12):02}{draw.randint(1, 28):02}"
    body += digits(draw, 3)
    return str(body + ric.calc_check_digit(body + "0"))


def french_number(draw: Draw) -> str:
    body = f"{draw.choice('12')}{draw.randint(20, 99)}{draw.randint(1, 12):02}"
    body += draw.choice(["75", "13", "69", "2A", "2B"]) + digits(draw, 6)
    number = str(body + nir.calc_check_digits(body))
    return draw.choice([number, nir.format(number)])


def spanish_number(draw: Draw) -> str:
    if draw.random() < 0.3:
        body = draw.choice("XYZ") + digits(draw, 7)
        return body + draw.choice(["", "-"]) + str(nie.calc_check_digit(body))
    body = digits(draw, 8, "123456789")
    letter = str(dni.calc_check_digit(body))
    dotted = f"{body[:2]}.{body[2:5]}.{body[5:]}-{letter}"
    return draw.choice([body + letter, f"{body}-{letter}", dotted])


def snils(draw: Draw) -> str:
    body = digits(draw, 9, "123456789")
    check = sum(int(d) * w for d, w in zip(body, range(9, 0, -1), strict=True)) % 101 % 100
    return f"{body[:3]}-{body[3:6]}-{body[6:]} {check:02}"


def tax_number(draw: Draw) -> str:
    body = digits(draw, 10, "123456789")
    return str(body + inn.calc_personal_check_digits(body))


def japanese_number(draw: Draw) -> str:
    body = digits(draw, 11)
    number = str(body + my_number.calc_check_digit(body))
    return draw.choice([number, f"{number[:4]} {number[4:8]} {number[8:]}", number.translate(WIDE)])


def british_number(draw: Draw) -> str:
    while True:
        number = digits(draw, 10, "123456789")
        if nhs.is_valid(number):
            return draw.choice([number, f"{number[:3]} {number[3:6]} {number[6:]}"])


def american_number(draw: Draw) -> str:
    return f"{draw.randint(100, 665)}-{draw.randint(10, 99)}-{draw.randint(1000, 9999)}"


WIDE = str.maketrans("0123456789-", "０１２３４５６７８９－")
MONTHS = {
    "en": ["January", "March", "July", "December"],
    "fr": ["janvier", "mars", "août", "décembre"],
    "es": ["enero", "marzo", "julio", "diciembre"],
    "ru": ["января", "марта", "июля", "декабря"],
}
NAMES = {
    "en": ["John Smith", "Mary-Ann O'Neill", "SMITH, John A.", "Robert J. Brown Jr", "Li Wei"],
    "zh": ["张三", "王小明", "欧阳修文", "李娜", "阿卜杜·热合曼"],
    "ja": ["山田太郎", "佐藤 花子", "鈴木　一郎", "ヤマダ タロウ", "高橋みなみ"],
    "fr": ["Jean Dupont", "DURAND Marie-Claire", "Élodie de la Tour", "Hervé L'Hermitte"],
    "ru": ["Иванов Иван Иванович", "Петрова А.С.", "Сидоров П. К.", "Ким Елена"],
    "es": ["María García López", "Juan de la Cruz", "Íñigo Núñez", "PÉREZ GIL, Ana"],
}
NAME_LABELS = {
    "en": ["Patient: ", "Name: ", "Patient name: ", "Full Name : ", "**Name:** "],
    "zh": ["姓名：", "患者姓名：", "患者：", "姓名: "],
    "ja": ["氏名：", "患者氏名：", "患者名: ", "お名前　"],
    "fr": ["Nom : ", "Patient : ", "Nom et prénom : ", "Nom du patient: "],
    "ru": ["ФИО: ", "Пациент: ", "Ф.И.О.: ", "Больная: "],
    "es": ["Paciente: ", "Nombre: ", "Nombre y apellidos: ", "Nombre del paciente : "],
}
BIRTH_LABELS = {
    "en": ["DOB: ", "Date of birth: ", "D.O.B. ", "born on ", "Date of Birth (dd/mm/yyyy): "],
    "zh": ["出生日期：", "出生年月：", "生于"],
    "ja": ["生年月日：", "生年月日　"],
    "fr": ["Date de naissance : ", "Né le ", "née le ", "DDN : "],
    "ru": ["Дата рождения: ", "родился ", "д.р. "],
    "es": ["Fecha de nacimiento: ", "F. Nac.: ", "nacida el "],
}
TELEPHONES = {
    "en": [
        "(212) 736-5000",
        "212-736-5000",
        "+1 212 736 5000",
        "+44 20 7946 0958",
        "020 7946 0958",
    ],
    "zh": [
        "13812345678",
        "138-1234-5678",
        "010-62781234",
        "+86 138 1234 5678",
        "０１０－６２７８１２３４",
    ],
    "ja": [
        "03-3581-4321",
        "090-1234-5678",
        "０９０－１２３４－５６７８",
        "+81 3-3581-4321",
        "(03)3581-4321",
    ],
    "fr": [
        "01 42 68 53 00",
        "06.12.34.56.78",
        "+33 1 42 68 53 00",
        "0142685300",
        "+33 (0)6 12 34 56 78",
    ],
    "ru": ["8 (495) 123-45-67", "+7 495 123-45-67", "8-916-123-45-67", "+7(916)1234567"],
    "es": ["91 523 45 67", "612 34 56 78", "+34 612 345 678", "915 23 45 67"],
}
TELEPHONE_LABELS = {
    "en": ["Tel: ", "Phone ", "Fax: ", "Mobile: ", "call "],
    "zh": ["电话：", "联系电话：", "手机号", "拨打 "],
    "ja": ["電話：", "TEL ", "連絡先："],
    "fr": ["Tél. : ", "Téléphone : ", "Tel ", "joindre au "],
    "ru": ["тел. ", "Телефон: ", "моб. тел.: "],
    "es": ["Tel.: ", "Teléfono: ", "Tfno: ", "llamar al "],
}
ADDRESSES = {
    "en": [
        "12 High Street, Flat 3, London SW1A 1AA",
        "1600 N. Lincoln Avenue, Apt 4B, Chicago, IL 60614",
        "221B Baker Street",
        "P.O. Box 1234",
    ],
    "zh": [
        "北京市朝阳区建国路88号2号楼301室",
        "上海市徐汇区漕溪北路18弄5号602室",
        "广州市天河区体育东路120号",
    ],
    "ja": ["東京都新宿区西新宿2-8-1", "大阪府大阪市北区梅田三丁目1番3号", "〒160-0023"],
    "fr": [
        "12 bis, rue de la Paix, 75002 Paris",
        "3 avenue Victor Hugo, 69003 Lyon",
        "45, boulevard Saint-Michel",
    ],
    "ru": [
        "г. Москва, ул. Ленина, д. 5, кв. 12",
        "190000, г. Санкт-Петербург, Невский проспект, д. 28",
        "ул. Мира, 10",
    ],
    "es": [
        "Calle Mayor, 5, 3º B, 28013 Madrid",
        "Avda. de la Constitución 12",
        "C/ Alcalá, nº 45, 2º izda",
    ],
}
ADDRESS_LABELS = {
    "en": ["Address: ", "Lives at ", "Home address: "],
    "zh": ["住址：", "家住", "家庭住址："],
    "ja": ["住所：", "住所 ", "現住所："],
    "fr": ["Adresse : ", "Demeurant ", "Domicile au "],
    "ru": ["Адрес: ", "проживает по адресу: ", "Живёт по адресу "],
    "es": ["Domicilio: ", "Dirección: ", "Vive en "],
}
RECORDS = {
    "en": ["MRN: ", "MRN ", "Medical record number: ", "Hospital No. ", "Patient ID: "],
    "zh": ["病历号：", "住院号：", "门诊号 ", "病案号:"],
    "ja": ["カルテ番号：", "患者ID：", "診察券番号 "],
    "fr": ["IPP : ", "N° de dossier : ", "Dossier n° ", "NIP: "],
    "ru": ["История болезни № ", "№ медкарты: ", "Медицинская карта № "],
    "es": ["NHC: ", "Nº de historia clínica: ", "Historia clínica nº "],
}
NATIONAL: dict[str, list[tuple[str, Callable[[Draw], str]]]] = {
    "en": [("SSN: ", american_number), ("number ", american_number), ("NHS No: ", british_number)],
    "zh": [("身份证号：", identity_card), ("证件 ", identity_card), ("", identity_card)],
    "ja": [("マイナンバー：", japanese_number), ("個人番号は", japanese_number)],
    "fr": [
        ("N° de sécurité sociale : ", french_number),
        ("NIR ", french_number),
        ("", french_number),
    ],
    "ru": [("СНИЛС ", snils), ("ИНН: ", tax_number), ("№ ", snils)],
    "es": [("DNI: ", spanish_number), ("con DNI ", spanish_number), ("", spanish_number)],
}
FILLERS = {
    "en": "BP 120/80 mmHg, HR 72. Aspirin 81 mg daily. WBC 5700/mm3, see PMID 31452104.",
    "zh": "血压120/80mmHg，心率72次/分。阿司匹林100mg，每日1次。白细胞5.7×10^9/L。",
    "ja": "血圧120/80mmHg、脈拍72。アスピリン100mgを1日1回。白血球5700/μL。",
    "fr": "TA 120/80, FC 72. Aspirine 75 mg par jour. Leucocytes 5 700/mm3, code CIM I10.",
    "ru": "АД 120/80, ЧСС 72. Аспирин 100 мг в сутки. Лейкоциты 5,7 x 10^9/л.",
    "es": "TA 120/80, FC 72. Aspirina 100 mg al día. Leucocitos 5.700/mm3, CIE-10 I10.",
}


def birth_date(draw: Draw, code: str) -> str:
    year, month, day = draw.randint(1925, 2015), draw.randint(1, 12), draw.randint(1, 28)
    numeric = [
        f"{day:02}/{month:02}/{year}",
        f"{day}.{month}.{year}",
        f"{year}-{month:02}-{day:02}",
    ]
    if code in ("zh", "ja"):
        forms = [
            f"{year}年{month}月{day}日",
            f"{year}-{month:02}-{day:02}",
            f"{year}/{month}/{day}",
        ]
        return draw.choice([*forms, "昭和40年3月12日"] if code == "ja" else forms)
    name = draw.choice(MONTHS[code])
    written = {
        "en": [f"{day} {name} {year}", f"{name} {day}, {year}", f"{day}-{name[:3]}-{year}"],
        "fr": [f"{day} {name} {year}", f"1er {name} {year}"],
        "es": [f"{day} de {name} de {year}"],
        "ru": [f"{day} {name} {year}"],
    }
    return draw.choice(numeric + written[code])


def record_number(draw: Draw) -> str:
    number = digits(draw, draw.randint(6, 9), "123456789")
    return draw.choice([number, f"A{number}", f"{number[:3]}-{number[3:]}", f"{number}/24"])


def fields(draw: Draw, code: str) -> list[Field]:
    label, national = draw.choice(NATIONAL[code])
    name = draw.choice(NAMES[code])
    return [
        ("NAME", (draw.choice(NAME_LABELS[code]), name)),
        ("BIRTH_DATE", (draw.choice(BIRTH_LABELS[code]), birth_date(draw, code))),
        ("TELEPHONE", (draw.choice(TELEPHONE_LABELS[code]), draw.choice(TELEPHONES[code]))),
        ("TELEPHONE", ("+ ", draw.choice(TELEPHONES[code]))),
        ("ADDRESS", (draw.choice(ADDRESS_LABELS[code]), draw.choice(ADDRESSES[code]))),
        ("RECORD_NUMBER", (draw.choice(RECORDS[code]), record_number(draw))),
        ("NATIONAL_ID", (label, national(draw))),
        ("EMAIL", ("e-mail ", draw.choice(["j.smith@example.org", "ana_95@correo.com.mx"]))),
    ]


def note(draw: Draw, code: str) -> tuple[str, list[tuple[str, int, int]]]:
    """Return a note and (kind, start, end) of all that is personal in it."""
    text, planted = "", []
    parts: list[Field | None] = [*fields(draw, code), None, None]
    draw.shuffle(parts)
    for part in parts:
        if part is None:
            text += FILLERS[code]
        else:
            kind, (label, value) = part
            text += label
            planted.append((kind, len(text), len(text) + len(value)))
            text += value
        text += draw.choice(["\n", "\n", "; ", "。\n" if code in ("zh", "ja") else ".\n"])
    return text, planted


@pytest.fixture(scope="module")
def step() -> Deidentify:
    return Deidentify(DeidentifyConfig())


@pytest.mark.parametrize("code", LANGUAGES)
def test_marked_data_in_notes_is_replaced_and_nothing_else(code: str, step: Deidentify) -> None:
    draw = random.Random(code)
    notes = [note(draw, code) for _ in range(NOTES)]
    judged = step(pa.array([text for text, _ in notes]), code)
    planted_count: Counter[str] = Counter()
    found_count: Counter[str] = Counter()
    missed, spilled, tagged = [], [], 0
    for (text, planted), spans in zip(notes, judged.scores["spans"].to_pylist(), strict=True):
        covered = {i: s["kind"] for s in spans for i in range(s["start"], s["end"])}
        personal = {i for _, start, end in planted for i in range(start, end)}
        for kind, start, end in planted:
            planted_count[kind] += 1
            whole = all(covered.get(i) == kind for i in range(start, end) if text[i].isalnum())
            found_count[kind] += whole
            if not whole:
                missed.append((kind, text[max(0, start - 20) : end + 5]))
        for span in spans:
            tagged += 1
            outside = [i for i in range(span["start"], span["end"]) if i not in personal]
            if any(text[i].isalnum() for i in outside):
                spilled.append((span["kind"], text[span["start"] : span["end"]]))
    for kind, count in planted_count.items():
        of_kind = [where for what, where in missed if what == kind]
        assert found_count[kind] >= REACH * count, (kind, of_kind[:8])
    assert len(spilled) <= 0.02 * tagged, spilled[:8]


@pytest.mark.parametrize("code", LANGUAGES)
def test_tagged_notes_hold_nothing_more_to_tag(code: str, step: Deidentify) -> None:
    draw = random.Random(code)
    judged = step(pa.array([note(draw, code)[0] for _ in range(NOTES)]), code)
    assert judged.texts is not None
    again = step(judged.texts, code)
    assert again.texts is None or again.texts == judged.texts, [
        (text, spans)
        for text, spans in zip(judged.texts.to_pylist(), again.scores["spans"], strict=True)
        if len(spans)
    ][:2]
