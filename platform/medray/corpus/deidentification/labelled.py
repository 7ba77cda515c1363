"""Numbers that only a label makes personal: national, record and account numbers, IP addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from medray.corpus.deidentification.page import Page
from medray.corpus.deidentification.spans import Kind, Span

# What may stand between a label and its number: "No.", a note in brackets, a colon, a line's end.
_TAIL = re.compile(
    r"\.?[ ]?(?:(?:number|num\.|no\.?|nº|n°|n\.º|№|#|id|код|номер|号码|番号|号|號碼|號)[ ]?)?"
    r"(?:\([^()\n]{1,20}\)[ ]?)?[*_]{0,2}[ ]{0,3}(?:[:：=|\t-]|is\b|es\b|est\b|は|为|是|→)?"
    r"[*_]{0,2}[ ]{0,3}\n?[ ]{0,3}"
)
# An identity number as written by hand: groups of digits, letters before, a letter behind; a
# blank joins groups, but never a date that follows ("4510 123456 01.02.2003").
_IDENTITY = re.compile(
    r"(?:[A-Z]{1,4}[ -]?)?[0-9]"
    r"(?:[ ]?2[ABab](?=[ ]?[0-9]{3})|[ ]?[/|][ ]?(?=[0-9]{2}\b)"
    r"|(?:[./-]|[ ](?![0-9]{1,4}[./-][0-9])|[ ]?№[ ]?)?[0-9]){4,21}"
    r"(?:[ -]?[A-Z])?(?![0-9A-Za-z])"
    r"|[A-Z0-9]{8,20}(?![0-9A-Za-z])"
    # Medicare's number since 2018: 1EG4-TE5-MK73.
    r"|[1-9][A-Z][A-Z0-9][0-9]-?[A-Z][A-Z0-9][0-9]-?[A-Z]{2}[0-9]{2}(?![0-9A-Za-z])"
)
_RECORD = re.compile(
    r"(?:[A-Za-zА-Яа-я]{1,5}[-/ ]?)?[0-9][0-9A-Za-z]*(?:[-/.][0-9A-Za-z]+){0,4}(?:[-/][А-Яа-я]\b)?"
)
_ACCOUNT = re.compile(r"(?:[A-Z]{2})?[0-9](?:[ -]?[0-9A-Z]){5,33}(?![0-9A-Za-z])")
_IP = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})(?:\.(?=[0-9])|(?!\.?[0-9]))){4}")

NATIONAL_LABELS = (
    "social security number", "social security no", "social security #", "social security:",
    "ssn", "itin",
    "nhs number", "nhs no", "nhs", "national id",
    "identity card", "id card", "passport number", "passport no",
    "passport", "insurance id", "health card number", "health insurance number", "insurance number",
    "policy number", "member id", "driver's license", "driver license", "driving licence",
    "carte vitale", "passeport", "carte d'identité",
    "dni", "d.n.i.", "dni/nie", "nie", "nif", "curp", "nss", "nuss", "nass", "naf",
    "número de la seguridad social", "seguridad social", "tarjeta sanitaria", "cédula",
    "cédula de identidad", "pasaporte", "documento de identidad", "rut", "cuil",
    "снилс", "инн", "паспорт", "серия и номер паспорта", "паспорт серия", "полис омс", "полис",
    "енп", "страховой номер",
    "身份证号码", "身份证号", "身份证", "身分證字號", "身份證號", "证件号码", "证件号", "护照号码",
    "护照号", "护照", "医保卡号", "医保号", "社保卡号", "社保号", "社会保障号码", "医疗保险号",
    "マイナンバー", "個人番号", "保険証番号", "保険者番号", "被保険者番号", "被保険者証番号",
    "旅券番号", "パスポート番号", "運転免許証番号",
)  # fmt: skip
# All thirteen digits of a NIR, for "NIR" is the near infrared too ("NIR 780-1400 nm").
FRENCH_LABELS = (
    "numéro de sécurité sociale", "n° de sécurité sociale", "sécurité sociale", "n° ss",
    "n° sécu", "n° de sécu", "nir", "matricule ins", "ins",
)  # fmt: skip
# Six digits are enough: the rest are letters ("QQ 12 34 56 C").
SHORT_NATIONAL_LABELS = ("national insurance number", "national insurance no", "nino", "ni number")
# Six of the eleven characters of Medicare's number are digits, or fewer.
MEDICARE_LABELS = ("medicare number", "medicare no", "medicare #", "medicare id", "mbi", "medicaid")
# A person's number in Spain; in French texts a CIP is a medicine's code.
SPANISH_LABELS = ("cip", "cipa", "cip-sns", "cip sns")
# At least five digits, for these count other things too ("patient no. 12", "case number 3").
RECORD_LABELS = (
    "patient id", "patient identifier", "patient number", "patient no", "record number",
    "record no", "file number", "file no", "case number", "case no", "encounter number",
    "visit number", "accession no", "specimen number", "dossier n°", "n° de dossier",
    "n° dossier", "numéro de dossier", "n° patient", "numéro patient", "identifiant patient",
    "n° de séjour", "nº de expediente", "número de expediente", "expediente", "episodio",
    "nº de registro",
    "nº de historia", "número de historia", "nº historia", "id del paciente", "nº paciente",
    "номер карты", "медицинская карта", "медицинской карты", "карта №", "номер пациента",
    "id пациента",
    "登记号", "登錄號", "就诊号", "就诊卡号", "检查号", "标本号", "病例号", "编号id",
    "患者id", "患者番号", "受付番号", "検体番号",
)  # fmt: skip
# At least three digits: these are said of nothing but a patient's record.
STRONG_RECORD_LABELS = (
    "mrn", "medical record number", "medical record no", "medical record", "chart number",
    "chart no", "hospital number", "hospital no", "hospital id", "ipp", "nip", "nda", "nhc",
    "n.h.c.", "nº de historia clínica", "nº historia clínica", "número de historia clínica",
    "historia clínica nº", "historia clínica n.º", "historia clínica número", "h.c. nº",
    "история болезни", "истории болезни №", "и/б", "амбулаторная карта", "амбулаторной карты",
    "медкарта", "медкарты",
    "病历号", "病案号", "住院号", "门诊号", "病歷號", "住院號", "病歷號碼", "住院号码", "病案号码",
    "カルテ番号", "カルテno", "診察券番号", "診療録番号", "カルテid",
)  # fmt: skip
ACCOUNT_LABELS = (
    "account number", "account no", "acct", "acct no", "bank account", "iban", "credit card",
    "card number",
    "numéro de compte", "rib", "carte bancaire", "número de cuenta", "cuenta bancaria",
    "tarjeta de crédito", "расчетный счет", "расчётный счёт", "номер карты банка", "р/с",
    "银行卡号", "银行账号", "信用卡号", "口座番号", "クレジットカード番号",
)  # fmt: skip
IP_LABELS = ("ip address", "ip", "adresse ip", "dirección ip", "ip-адрес", "ip地址", "ipアドレス")


def labelled_number(page: Page, start: int, end: int, kind: Kind, digits: int) -> Iterator[Span]:
    """Yield the number after a label of ``kind`` if it has at least so many digits."""
    tail = _TAIL.match(page.folded, end, end + 40)
    place = tail.end() if tail else end
    pattern = {"RECORD_NUMBER": _RECORD, "ACCOUNT_NUMBER": _ACCOUNT, "IP_ADDRESS": _IP}.get(
        kind, _IDENTITY
    )
    found = pattern.match(page.text, place, place + 48)
    if found and sum(map(str.isdigit, found[0])) >= digits:
        yield Span(kind, found.start(), found.end())


def spanish_insurance(page: Page, start: int, end: int) -> Iterator[Span]:
    """Yield the number after "CIP", in Spanish texts only."""
    if page.language == "es":
        yield from labelled_number(page, start, end, "NATIONAL_ID", 7)
