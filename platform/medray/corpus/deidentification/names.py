"""Names of patients where they are marked: after a label, and again wherever the text repeats them.

What follows "Name:" is taken for a name by its form alone: capitals in Latin and Cyrillic letters,
a known surname in Chinese, a short run of Han or kana in Japanese. There is no list of first names.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

import ahocorasick_rs

from medray.corpus.deidentification.page import Page, is_cased, opens_field
from medray.corpus.deidentification.spans import Span

_UPPER = "A-ZÀ-ÖØ-ÞĀĆČĎĐĒĘĚĞĢĪİĶŁŃŅŇŌŐŒŘŚŞŠŢŤŪŮŰŹŻŽА-ЯЁ"
_LETTERS = r"[^\W\d_]"
NAME_TOKEN = rf"(?:[{_UPPER}]\.|[{_UPPER}]{_LETTERS}*+(?:['’-]{_LETTERS}++){{0,3}})"
PARTICLE = (
    r"(?:(?:de la|de los|de las|de|del|da|dos|do|du|des|la|le|van der|van den|van|von|bin|al|el|"
    r"y|e|ben|ter)[ ]|d['’])"
)
# "John Smith", "SMITH, John A.", "PÉREZ GIL, Ana", "Иванов И.И."; at most six words of one line.
# A comma joins only what follows the first word or a word in capitals.
_NEXT_WORD = rf"{PARTICLE}?{NAME_TOKEN}"
_WESTERN = re.compile(
    rf"{PARTICLE}?{NAME_TOKEN}(?:,[ ](?={NAME_TOKEN}){_NEXT_WORD})?"
    rf"(?:(?:[ ]{{1,2}}|(?<=\.)(?=[{_UPPER}])|(?<=[{_UPPER}]{{2}}),[ ]){_NEXT_WORD}){{0,5}}"
)
_RUSSIAN_NAME = re.compile(
    r"[ ]([А-ЯЁ][а-яё-]+ (?:[А-ЯЁ]\. ?[А-ЯЁ]\."
    r"|[А-ЯЁ][а-яё]+ [А-ЯЁ][а-яё]+(?:ич|ича|ичу|вна|вны|вну)))"
)
_HONORIFIC = re.compile(
    r"(?:mr|mrs|ms|miss|dr|m|mme|mlle|monsieur|madame|sr|sra|srta|don|doña|г-н|г-жа)\.?[ ]"
)
# Words that stand where a name would, capital or not: what a form says of a patient besides.
_NO_NAME = re.compile(
    r"male|female|man|woman|boy|girl|age|aged|sex|gender|date|dob|birth|history|unknown|anonymous|"
    r"none|no|not|yes|the|a|an|this|that|his|her|patient|patients|name|surname|address|phone|id|"
    r"mrn|diagnosis|presented|presents|admitted|hospital|clinic|doctor|case|information|data|"
    r"confidential|withheld|redacted|deidentified|mr|mrs|ms|dr|initials|male/female|years|year|i|"
    r"we|you|it|he|she|they|what|how|when|why|who|is|was|has|had|in|on|at|of|for|and|or|to|with|"
    r"homme|femme|sexe|âge|né|née|inconnu|anonyme|patiente|oui|non|le|la|les|un|une|il|elle|"
    r"dossier|adresse|médecin|service|hôpital|nom|prénom|hombre|mujer|varón|sexo|edad|fecha|"
    r"desconocido|anónimo|paciente|sí|se|el|los|una|él|ella|nombre|apellidos|domicilio|servicio|"
    r"médico|historia|nacimiento|мужчина|женщина|муж|жен|пол|возраст|дата|неизвестно|неизвестен|"
    r"аноним|пациент|пациентка|больной|больная|да|нет|диагноз|адрес|телефон|врач|отделение|жалобы|"
    r"история|лет|год"
)
_PARTICLES = re.compile(r"de|la|los|las|del|da|dos|do|du|des|le|van|der|den|von|bin|al|el|y|e")
_MONTH_OR_DAY = re.compile(
    r"january|february|march|april|may|june|july|august|september|october|november|december|"
    r"monday|tuesday|wednesday|thursday|friday|saturday|sunday"
)

HAN = "㐀-䶿一-鿿々〆"
_SURNAMES = (
    "王李张張刘劉陈陳杨楊黄黃赵趙吴吳周徐孙孫马馬朱胡郭何高林罗羅郑鄭梁谢謝宋唐许許韩韓冯馮邓鄧曹彭曾"
    "肖萧蕭田董袁潘于余叶葉蒋蔣杜苏蘇魏程吕呂丁任沈姚卢盧姜崔锺钟鍾谭譚陆陸汪范範金石廖贾賈夏韦韋傅方白"
    "邹鄒孟熊秦邱丘江尹薛阎閻闫段雷侯龙龍史陶黎贺賀顾顧毛郝龚龔邵万萬钱錢严嚴覃武戴莫孔向汤湯常温溫康施"
    "牛樊葛邢安齐齊易乔喬伍庞龐颜顏倪庄莊聂聶章鲁魯岳翟殷詹申欧歐耿关關兰蘭焦俞左柳甘祝包宁寧尚符舒阮柯"
    "纪紀梅童凌毕畢单單季裴霍涂塗成苗谷盛曲翁冉骆駱蓝藍路游辛靳管柴蒙鲍鮑华華喻祁蒲房滕屈饶饒解牟艾尤阳陽"
    "时時穆农農司卓古吉缪繆简簡车車项項连連芦蘆麦麥褚娄婁窦竇戚岑景党黨宫宮费費卜冷晏席卫衛米柏宗瞿桂全佟"
    "应應臧闵閔苟邬鄔边邊卞姬师師和仇栾欒隋商刁沙荣榮巫寇桑郎甄丛叢仲虞敖巩鞏明佘池查麻苑迟遲邝鄺"
)
_DOUBLE_SURNAMES = (
    "欧阳|歐陽|司马|司馬|上官|诸葛|諸葛|东方|東方|皇甫|尉迟|尉遲|公孙|公孫|令狐|慕容|司徒|夏侯|端木"
)
CHINESE_FORM = rf"(?:(?:{_DOUBLE_SURNAMES})[{HAN}]{{1,2}}|[{_SURNAMES}][{HAN}×*xX○]{{1,2}})"
# A name ends the field or the word: nothing Han may follow but what opens the next field.
_FIELD_AFTER = (
    rf"(?=[^{HAN}ぁ-ヶ]|$|性别|性別|年龄|年齡|男|女|出生|身份|住院|病历|床号|科室|电话|生年)"
)
_DOTTED_NAME = rf"[{HAN}]{{1,10}}(?:[·•・][{HAN}]{{1,10}}){{1,3}}"
_CHINESE_NAME = re.compile(rf"{CHINESE_FORM}{_FIELD_AFTER}|{_DOTTED_NAME}")
_CHINESE_WITH_SEX = re.compile(rf"({CHINESE_FORM})[，,、 ]{{1,2}}(?:男|女|性别|性別)")
_CHINESE_ALONE = re.compile(rf"({_DOTTED_NAME}|{CHINESE_FORM})(?=[，,。；;.|() \n\t]|$)")
_NO_CHINESE = re.compile(
    "不详|未知|保密|不明|匿名|无名|某某某|同上|和性|及年|和年|性别|年龄|方法|资料|高危|全部"
)
_KANA = "ぁ-ゖァ-ヺー"
_JAPANESE_NAME = re.compile(
    rf"(?:[{HAN}]{{1,4}}[ ][{HAN}{_KANA}]{{1,5}}|[{_KANA}]{{2,7}}[ ・][{_KANA}]{{2,7}}"
    rf"|[{HAN}]{{2,6}}[{_KANA}]{{0,3}}|[{HAN}]{{1,4}}[{_KANA}]{{1,4}})"
    rf"(?=様|さま|さん|殿|氏|[^{HAN}{_KANA}]|$)"
)
_JAPANESE_HONORIFIC = re.compile("(?:様|さま|さん|殿|氏)$")
_NO_JAPANESE = re.compile(
    "不明|匿名|男性|女性|男児|女児|患者|性別|年齢|記入|同上|なし|あり|[0-9]|[はがをにでと]$|"
    "です|ます|その|この|ため"
)

_AFTER = (
    r"(?: (?:больного|больной|пациента|пациентки|ребенка|ребёнка|полностью))?"
    r"[ ]?(?:\([^()\n]{1,24}\)[ ]?)?[*_]{0,2}"
)
# A cell of a table (| or tab) and a colon at a line's end count as a colon.
_COLON = re.compile(rf"{_AFTER}[ ]?[:：=|\t][*_]{{0,2}}[ ]{{0,3}}\n?[ ]{{0,3}}")
_COLON_OR_BLANK = re.compile(rf"{_AFTER}(?:[ ]?[:：=|\t][*_]{{0,2}}[ ]{{0,3}}|[ ]{{1,3}})")

# Said of nothing but a person: one word is enough.
STRONG_NAME_LABELS = (
    "patient name", "patient's name", "name of patient", "name of the patient", "pt name",
    "full name", "first name", "last name", "surname", "family name", "given name", "maiden name",
    "next of kin", "nom du patient", "nom de la patiente", "nom et prénom", "nom et prénoms",
    "nom, prénom", "nom prénom", "nom/prénom", "nom de famille", "nom de naissance",
    "nom d'usage", "prénom", "prénoms", "nombre del paciente", "nombre de la paciente",
    "nombre y apellidos", "nombre completo", "apellidos y nombre", "apellidos, nombre",
    "apellidos", "apellido", "primer apellido", "segundo apellido", "ф.и.о.", "ф.и.о", "фио",
    "фио пациента", "ф.и.о. пациента", "фио больного", "фамилия, имя, отчество",
    "фамилия имя отчество",
    "фамилия", "имя", "отчество", "имя пациента",
)  # fmt: skip
# Said of medicines, files and groups too: at the start of a field and of two words at least.
WEAK_NAME_LABELS = (
    "patient", "pt", "name", "client", "nom", "patiente", "nombre", "paciente", "пациент",
    "пациентка", "больной", "больная", "имя и фамилия",
)  # fmt: skip
RUSSIAN_PATIENT = ("пациент", "пациентка", "пациента", "больной", "больная", "больного", "больному")
CHINESE_LABELS = (
    "姓名", "患者姓名", "病人姓名", "患儿姓名", "病患姓名", "产妇姓名", "联系人", "家属姓名",
)  # fmt: skip
CHINESE_PATIENT = ("患者", "病人", "患儿", "病患", "产妇", "孕妇")
JAPANESE_LABELS = (
    "氏名", "患者氏名", "患者名", "お名前", "名前", "ご氏名", "受診者氏名", "受診者名",
    "保護者氏名", "フリガナ", "ふりがな",
)  # fmt: skip


def western_name(page: Page, start: int, end: int, strong: bool) -> Iterator[Span]:
    """Yield the name after a label in Latin or Cyrillic letters."""
    tail = _COLON.match(page.text, end, end + 46)
    if not tail or not (strong or opens_field(page.text, start)):
        return
    place = tail.end()
    title = _HONORIFIC.match(page.folded, place)
    found = _WESTERN.match(page.text, title.end() if title else place, place + 80)
    han = _CHINESE_ALONE.match(page.text, place)  # a Chinese name in a form of another language
    if han and not _NO_CHINESE.search(han[1]):
        yield Span("NAME", han.start(1), han.end(1))
    elif found:
        words = _words_of_name(found)
        whole = any(len(word.rstrip(".")) > 1 for word, _ in words)
        if whole and (strong or title or len(words) >= 2):
            yield Span("NAME", found.start(), words[-1][1])


def _words_of_name(found: re.Match[str]) -> list[tuple[str, int]]:
    """Return the words of a match up to the first that is none of a name's, each with its end."""
    words: list[tuple[str, int]] = []
    for piece in re.finditer(r"[^ ,.]+\.?", found[0]):
        is_initial = len(piece[0]) == 2 and piece[0].endswith(".")
        low = piece[0].lower()
        if _NO_NAME.fullmatch(low) and not (is_initial or _PARTICLES.fullmatch(low)):
            break
        if len(piece[0]) == 1 and not words:  # "Patient: A 45-year-old man", "Name: I ..."
            break
        words.append((piece[0], found.start() + piece.end()))
    while words and words[-1][0].islower():  # a particle that nothing follows
        words.pop()
    return words


def russian_patient(page: Page, start: int, end: int) -> Iterator[Span]:
    """Yield "Иванов И.И." or "Иванов Иван Иванович" after the word for a patient."""
    found = _RUSSIAN_NAME.match(page.text, end, end + 80)
    if found:
        yield Span("NAME", found.start(1), found.end(1))


def chinese_name(page: Page, start: int, end: int) -> Iterator[Span]:
    """Yield the name after "姓名" and its like; letters of other scripts are taken by form."""
    tail = _COLON_OR_BLANK.match(page.text, end, end + 46)
    if not tail:
        return
    found = _CHINESE_NAME.match(page.text, tail.end(), tail.end() + 40)
    if found and not _NO_CHINESE.search(found[0]):
        yield Span("NAME", found.start(), found.end())
    else:
        yield from western_name(page, start, end, strong=True)


def chinese_patient(page: Page, start: int, end: int) -> Iterator[Span]:
    """Yield the name in "患者：张三" and in "患者李四，男，45岁"."""
    tail = _COLON.match(page.text, end, end + 46)
    place = tail.end() if tail else end
    found = _CHINESE_WITH_SEX.match(page.text, place)
    if found is None and tail:
        found = _CHINESE_ALONE.match(page.text, place)
    if found and not _NO_CHINESE.search(found[1]):
        yield Span("NAME", found.start(1), found.end(1))


def japanese_name(page: Page, start: int, end: int) -> Iterator[Span]:
    """Yield the name after "氏名" and its like."""
    tail = _COLON_OR_BLANK.match(page.text, end, end + 46)
    if not tail:
        return
    found = _JAPANESE_NAME.match(page.text, tail.end(), tail.end() + 24)
    if found and not _NO_JAPANESE.search(found[0]):
        honorific = _JAPANESE_HONORIFIC.search(found[0])
        yield Span("NAME", found.start(), found.end() - len(honorific[0] if honorific else ""))
    else:
        yield from western_name(page, start, end, strong=True)


def repeated_names(page: Page, names: Collection[str]) -> list[Span]:
    """Return every place where a marked name, or a part that is no ordinary word, stands again.

    Parts: words of at least three letters of a name in Latin or Cyrillic letters. A word that the
    same text also has in small letters, a month or a day is no part. Russian parts are found in
    all cases, and initials after a part belong to it.
    """
    text = page.text
    parts = set(names)
    for name in names:
        parts.update(re.findall(rf"{_LETTERS}+(?:['’-]{_LETTERS}+)*", name))
    stems = {_stem(part) for part in parts if _is_name_part(part, text)}
    if not stems:
        return []
    finder = ahocorasick_rs.AhoCorasick(
        sorted(stems), matchkind=ahocorasick_rs.MatchKind.LeftmostLongest
    )
    found = []
    for _, start, end in finder.find_matches_as_indexes(text):
        if is_cased(text[start]):
            tail = _CASE_ENDING.match(text, end)
            end = tail.end() if tail and "а" <= text[end - 1] <= "я" else end
            if text[start - 1 : start].isalnum() or text[end : end + 1].isalnum():
                continue
            initials = _INITIALS.match(text, end)
            end = initials.end() if initials else end
        found.append(Span("NAME", start, end))
    return found


# Endings of Russian names: Иванов, Иванова, Ивановой, Ивановым; Мария, Марии, Марией.
_CASE_ENDING = re.compile("[а-я]{1,3}(?![а-яё])")
_INITIALS = re.compile(rf"(?: ?[{_UPPER}]\.){{1,2}}")


def _stem(part: str) -> str:
    """Return a Russian word of a name without the ending that its case changes, others as is."""
    if len(part) >= 5 and " " not in part and "а" <= part[-1] <= "я":
        return re.sub("(?:ий|ая|ой|[аяйь])$", "", part)
    return part


def _is_name_part(part: str, text: str) -> bool:
    if not is_cased(part[0]):
        return len(part) >= 2
    if len(part) < 3 or not part[0].isupper():
        return False
    low = part.lower()
    if _MONTH_OR_DAY.fullmatch(low) or _NO_NAME.fullmatch(low):
        return False
    return not re.search(rf"\b{re.escape(low)}\b", text)
