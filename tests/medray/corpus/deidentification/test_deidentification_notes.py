"""Discharge notes written by hand, as hospitals lay them out, besides the generated ones."""

from __future__ import annotations

import pytest

from medray.corpus.deidentification.deidentify import Deidentify, DeidentifyConfig
from medray.corpus.deidentification.spans import replace_spans
from medray.languages import LANGUAGES

NOTES = {
    "en": """DISCHARGE SUMMARY
Patient Name: Margaret O'Connor          MRN#: 00-45-82-19
D.O.B.: March 5, 1947     Age: 76   Sex: F
Address: 4521 Maple Grove Ln, Apt 12, Springfield, IL 62704
Home Ph: 217-555-0147   Cell: (217) 836-2210
SSN 321-54-9876  Medicare #: 1EG4-TE5-MK73
Insurance ID: XYZ123456789   Acct #: 887766554
PCP: Dr. Alan Grant
HPI: Mrs. O'Connor is a 76 yo woman with HTN, metoprolol 25 mg BID, troponin 0.04 ng/mL.
Her daughter, Susan O'Connor (tel. 217.555.0199), was called.
Emergency contact: Peter O'Connor, husband, +1-217-836-4410
NHS Number: 943 476 5919; lives at Flat 4, 27 Rosebery Avenue, London EC1R 4SR.
E-mail: m_oconnor47@nhs.net
Patient born 3/5/1947 in Cork.""",
    "zh": """出院小结
姓名：欧阳志远  性别：男  年龄：58岁  住院号：0023456789
身份证号码：320106196503121234 联系电话：138 1390 8421 （配偶 025-83716602）
家庭住址：江苏省南京市鼓楼区中山北路246号3幢502室 邮编：210009
出生日期：1965-03-12   床号：12床  病案号 B20231108
患者张建国，男，58岁，因"胸痛3小时"入院。既往高血压10年，口服氨氯地平5mg qd。
患者欧阳志远于2023年11月8日行冠脉造影。欧阳先生术后恢复好。微信号：oyzy1965 邮箱 oyzy1965@163.com
联系人：李秀英（妻） 电话：13913998877""",
    "ja": """退院時サマリー
患者氏名：佐々木 健太郎　　ID：00123456　　生年月日：昭和40年3月12日（58歳）
カルテ番号：12-34567　　住所：〒606-8507 京都府京都市左京区聖護院川原町54 コーポ川原203
電話番号：075-751-3111　携帯：090-8765-4321　メール：kenta.sasaki@docomo.ne.jp
個人番号：6214 9832 0257　被保険者証 記号 123 番号 4567890
佐々木様は2023年11月8日に入院。アムロジピン5mg。妻の佐々木花子さん（080-1111-2222）に説明。
患者：佐々木健太郎 様、1965年3月12日生。""",
    "fr": """COMPTE RENDU D'HOSPITALISATION
Nom : LEFÈVRE   Prénom : Marie-Hélène   Nom de naissance : DUBOIS
Née le 12/03/1965 à Lyon  NIR : 2 65 03 69 123 456 47  IPP 801234567
Adresse : 14 bis, rue des Lilas, 69008 LYON  Tél : 04.78.12.34.56 / 06 12 34 56 78
Médecin traitant : Dr Paul Martin, 3 place Bellecour 69002 Lyon
Cher confrère, je vois ce jour Mme LEFÈVRE Marie-Hélène, 58 ans, sous amlodipine 5 mg.
Mme Lefèvre rapporte...
N° de dossier : 2023-118845  courriel : mh.lefevre@orange.fr. CRP 12 mg/L, GB 7 800/mm3.""",
    "ru": """ВЫПИСНОЙ ЭПИКРИЗ
Ф.И.О. больного: Кузнецова Мария Петровна   Дата рождения: 12.03.1965 г. (58 лет)
Адрес: 119021, г. Москва, ул. Льва Толстого, д. 16, кв. 45. Телефон: 8 (916) 123-45-67
СНИЛС: 112-233-445 95, полис ОМС 7712345678901234, паспорт серия 4510 № 123456
История болезни № 4521/2023. Место работы: пенсионер.
Больная Кузнецова М.П. поступила с жалобами... Назначен бисопролол 5 мг. Кузнецовой М.П.
рекомендовано. Гр. Кузнецова, 1965 г.р.
Муж — Кузнецов Иван Сергеевич, тел. +7 903 765-43-21; эл. почта kuzn@mail.ru; д.м.н.
Смирнов А.А.""",
    "es": """INFORME DE ALTA
Paciente: GARCÍA LÓPEZ, MARÍA DEL CARMEN   NHC: 1234567   F.Nac: 12/03/1965
Nombre: María del Carmen. Apellidos: García López. NASS: 08/12345678/90. CIPA: 1234567890
DNI: 12345678Z  Tfno. 915 86 80 00, móvil 612 345 678
Domicilio: C/ Doctor Esquerdo, 46, 2º A, 28007 Madrid   CP: 28007
Mujer de 58 años. La Sra. García acude por dolor. Episodio nº 20231108. Amlodipino 5 mg.
Hb 12,3 g/dL.
Nacida el 12 de marzo de 1965 en Sevilla. Correo: mcgarcia@hotmail.es. Médico: Dr. Juan Pérez""",
}
# None of it may be left.
PERSONAL = {
    "en": [
        "Margaret",
        "O'Connor",
        "00-45-82-19",
        "1947",
        "Maple",
        "62704",
        "217",
        "321-54",
        "MK73",
        "XYZ123",
        "887766554",
        "943 476",
        "Rosebery",
        "EC1R",
        "m_oconnor",
        "3/5/",
    ],
    "zh": [
        "欧阳",
        "0023456789",
        "320106",
        "1390",
        "83716602",
        "中山北路",
        "502室",
        "1965-03",
        "B20231108",
        "张建国",
        "李秀英",
        "13913998877",
        "@163",
    ],
    "ja": [
        "佐々木",
        "健太郎",
        "昭和",
        "12-34567",
        "606-8507",
        "聖護院",
        "751-3111",
        "8765",
        "kenta",
        "6214",
        "花子",
        "1111-2222",
        "1965年",
    ],
    "fr": [
        "LEFÈVRE",
        "Lefèvre",
        "Marie",
        "DUBOIS",
        "1965",
        "456 47",
        "801234567",
        "Lilas",
        "69008",
        "04.78",
        "56 78",
        "Bellecour",
        "118845",
        "orange.fr",
    ],
    "ru": [
        "Кузнецов",
        "Мария",
        "1965 г. (",
        "119021",
        "Толстого",
        "кв. 45",
        "123-45-67",
        "445 95",
        "7712345678901234",
        "4510",
        "4521/2023",
        "765-43-21",
        "kuzn@",
    ],
    "es": [
        "GARCÍA",
        "García",
        "CARMEN",
        "Carmen",
        "1234567",
        "1965",
        "08/12345678/90",
        "915 86",
        "612 345",
        "Esquerdo",
        "28007 Madrid",
        "mcgarcia",
    ],
}
# All of it must be left: doctors are no patients, and the medicine is why the text is kept.
MEDICAL = {
    "en": [
        "metoprolol 25 mg BID",
        "0.04 ng/mL",
        "Dr. Alan Grant",
        "Age: 76",
    ],
    "zh": [
        "氨氯地平5mg qd",
        "2023年11月8日",
        "胸痛3小时",
    ],
    "ja": [
        "アムロジピン5mg",
        "2023年11月8日",
    ],
    "fr": [
        "amlodipine 5 mg",
        "GB 7 800/mm3",
        "CRP 12 mg/L",
    ],
    "ru": [
        "бисопролол 5 мг",
        "Смирнов А.А.",
    ],
    "es": [
        "Amlodipino 5 mg",
        "Hb 12,3 g/dL",
        "Dr. Juan Pérez",
    ],
}


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_discharge_note_keeps_its_medicine_and_loses_its_patient(code: str) -> None:
    text = NOTES[code]
    assert all(word in text for word in PERSONAL[code] + MEDICAL[code])
    tagged = replace_spans(text, Deidentify(DeidentifyConfig()).spans(text, code))
    assert [word for word in PERSONAL[code] if word in tagged] == []
    assert [word for word in MEDICAL[code] if word not in tagged] == []
