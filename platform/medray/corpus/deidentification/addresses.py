"""Street addresses by their form in six languages, and what stands after a label of an address."""

from __future__ import annotations

import re
from collections.abc import Iterator

from medray.corpus.deidentification.page import Page, opens_field
from medray.corpus.deidentification.spans import Span

_CAPITAL = "A-ZÀ-ÖØ-ÞĀ-ŽА-ЯЁ"
# One way to match each character: two ways, nested in repeats, would take exponential time.
_WORD = rf"(?:[{_CAPITAL}][^\W_]{{0,2}}\.|[{_CAPITAL}](?:[^\W_]|['’-](?=[^\W_]))*+)"
_BEFORE_CHARACTERS, _AFTER_CHARACTERS = 64, 96

# --- English: number, name, kind of street; then flat, and town with a ZIP code or a postcode.
ENGLISH_STREETS = (
    "street", "st", "avenue", "ave", "road", "rd", "boulevard", "blvd", "lane", "ln", "drive",
    "dr", "court", "ct", "place", "pl", "square", "terrace", "way", "highway", "hwy", "parkway",
    "pkwy", "crescent", "close", "gardens",
)  # fmt: skip
_ENGLISH_BEFORE = re.compile(
    r"(?:\b(?:Flat|Apartment|Apt\.?|Unit|Suite|Room) [0-9A-Z]{1,4},? )?"
    r"(?<![0-9A-Za-z.,/-])[1-9][0-9]{0,4}[A-Za-z]?(?:-[0-9]{1,4})?,? "
    r"(?:[NSEW]\.?[EW]?\.? )?(?:(?:[A-Z][A-Za-z'’-]+|[1-9][0-9]{0,2}(?:st|nd|rd|th)|St\.) ){1,3}$"
)
_ENGLISH_AFTER = re.compile(
    r"\.?(?: [NSEW]\.?[EW]?\b\.?)?"
    r"(?:,? (?:Apartment|Apt|Suite|Ste|Unit|Flat|Floor|Room|#)\.? ?[0-9A-Z-]{1,6}\b)?"
    r"(?:,? (?:[A-Z][A-Za-z.'-]+ ){0,2}[A-Z][A-Za-z.'-]+"
    r"(?:,? (?:[A-Z]{2}|[A-Z][a-z]+(?: [A-Z][a-z]+)?),? [0-9]{5}(?:-[0-9]{4})?\b"
    r"|,? [A-Z]{2}\b(?![a-z])|,? [A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2}\b))?"
)
_POST_BOX = re.compile(
    r" ?[0-9]{1,6}\b(?:,? (?:[A-Z][A-Za-z.'-]+ ){0,2}[A-Z][A-Za-z.'-]+,? [A-Z]{2} [0-9]{5}\b)?"
)

# --- French: number, kind of street, name; then postcode and town.
FRENCH_STREETS = (
    "rue", "avenue", "av.", "boulevard", "bd", "bld", "blvd", "place", "allée", "allées",
    "chemin", "impasse", "quai", "route", "cours", "square", "passage", "sentier", "faubourg",
    "résidence", "lotissement",
)  # fmt: skip
_FRENCH_BEFORE = re.compile(
    r"(?<![0-9A-Za-z.,/-])[1-9][0-9]{0,3}(?: ?(?i:bis|ter|quater|[A-D]\b))?(?:-[0-9]{1,4})?,? $"
)
_FRENCH_LINK = r"(?i:de la|de l['’]|du|des|de|d['’]|et|en|sur|sous|la|le|les|l['’]) ?"
_FRENCH_AFTER = re.compile(
    rf"\.? (?:{_FRENCH_LINK})?{_WORD}(?:[ -](?:{_FRENCH_LINK})?{_WORD}){{0,4}}?"
    r"(?:(?:,| -)? ?(?:[FBL]-?)?[0-9]{4,5} (?:(?i:saint|sainte|st|ste|le|la|les)[ -])?"
    rf"{_WORD}(?:[ -](?:sur|en|sous|lès|la|le|les)[ -]{_WORD})?(?: (?i:cedex)(?: [0-9]{{1,2}})?)?"
    r"|(?![ -][^\W\d_])|(?=[ ][a-z]))"
)

# --- Spanish: kind of street, name, number; then floor, postcode and town.
SPANISH_STREETS = (
    "calle", "c/", "avenida", "avda", "avda.", "av.", "plaza", "pza", "pza.", "plza.", "paseo",
    "pº", "carretera", "ctra", "ctra.", "camino", "ronda", "travesía", "carrera", "cra.", "urb.",
    "urbanización", "glorieta", "pasaje", "calzada", "jirón", "diagonal",
)  # fmt: skip
_SPANISH_AFTER = re.compile(
    r" ?(?:(?:de la|de las|de los|del|de|la|el|los|las) )?"
    rf"(?:{_WORD}(?: (?:(?:de la|de las|de los|del|de|y|la|el) )?{_WORD}){{0,4}}"
    r"|[0-9]{1,3}[A-Z]?)"
    r",? (?:(?:n\.?[ºo°]|núm\.?|número|no\.|#) ?)?[1-9][0-9]{0,4}(?!\.?[0-9])"
    r"(?:[ -]?[A-Z]\b|-[0-9]{1,4})?"
    r"(?:,? ?(?:[0-9]{1,2} ?\.?[º°ª]\.? ?(?:[A-Z]\b|[0-9]{1,2} ?[ºª]|izda|dcha|izq|der)?\.?"
    r"|(?:piso|planta|puerta|bajo|portal|dpto\.?|depto\.?|apto\.?|esc\.?) ?[0-9A-Z]{0,4}\b)){0,3}"
    rf"(?:(?:,| -)? ?(?:C\.?P\.? ?)?[0-9]{{5}}(?:,? {_WORD}(?: (?:de|del|la|{_WORD})){{0,3}})?)?"
)

# --- Russian: postcode and town, kind of street and name in either order, house, flat.
RUSSIAN_STREETS = (
    "ул.", "улица", "улице", "пр.", "пр-т", "просп.", "проспект", "проспекте", "пер.", "переулок",
    "бульвар", "б-р", "бул.", "наб.", "набережная", "шоссе", "ш.", "площадь", "пл.", "проезд",
    "мкр.", "мкр", "микрорайон", "тупик", "аллея",
)  # fmt: skip
_RUSSIAN_PLACE = r"[А-ЯЁ][а-яё]+(?:-[А-ЯЁа-яё]+){0,3}"
_RUSSIAN_TOWN = (
    r"(?:(?:[0-9]{6},? ?)?(?:"
    rf"(?:(?:г\.|гор\.|город|пос\.|пгт\.?|с\.|дер\.|д\.) ?{_RUSSIAN_PLACE}"
    rf"|{_RUSSIAN_PLACE} (?:обл\.|область|р-н|район|край)|{_RUSSIAN_PLACE}),? ){{0,3}})"
)
_RUSSIAN_BEFORE = re.compile(
    rf"(?:(?<![А-Яа-яЁё0-9-]){_RUSSIAN_TOWN})?"
    r"(?:[А-ЯЁ0-9][А-Яа-яё0-9-]*(?:ая|ий|ый|ой|ое|ом) )?$"
)
_RUSSIAN_HOUSE = (
    r",? ?(?:(?:д\.|дом) ?)?[1-9][0-9]{0,3}(?:[/-][0-9]{1,3})?(?:[А-Яа-я]\b)?"
    r"(?:,? ?(?:к\.|корп\.?|корпус|стр\.|строение|литер|лит\.|под\.|подъезд|эт\.|этаж|кв\.|"
    r"квартира|оф\.|офис|комн\.) ?[0-9А-Я]{1,4}){0,4}"
)
_RUSSIAN_AFTER = re.compile(
    rf" ?(?:(?:[0-9]{{1,2}}-(?:я|й|го|ая|ый|ой) |[0-9]{{1,3}} (?:лет|мая|марта|января) )?"
    rf"{_WORD}(?: (?:{_WORD}|[а-яё]+(?:ая|ий|ый|ой)))?(?: [0-9]{{2,3}} (?:лет|мая) {_WORD})?)?"
    rf"{_RUSSIAN_HOUSE}(?![0-9.,]?[0-9])"
)

# --- Chinese and Japanese: from the province or town down to the house.
_HAN = "㐀-䶿一-鿿々"
_PROVINCES = (
    "北京|天津|上海|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|"
    "四川|贵州|云南|陕西|甘肃|青海|台湾|内蒙古|广西|西藏|宁夏|新疆|香港|澳门|臺北|台北|高雄|新北"
)
CHINESE_HOUSES = ("号", "號", "栋", "幢", "号楼")
_CHINESE_BEFORE = re.compile(
    rf"(?:(?:{_PROVINCES})[{_HAN}]{{0,10}}?(?:省|市|自治区)?|[{_HAN}]{{1,6}}?(?:市|县|區|区|州|旗|鎮|镇|乡|街道))?"
    rf"[{_HAN}0-9]{{1,20}}?(?:路|街|大道|大街|道|巷|里|弄|胡同|村|屯|小区|花园|新村|公寓|苑|园|段)"
    rf"(?:[东西南北中]段|[一二三四五六七八九十0-9]{{1,3}}[段巷组队])?(?:[0-9]{{1,5}}弄)?(?:[0-9]{{1,5}}号(?:院|大院)?)?(?:[0-9A-Z]{{1,5}}(?:-[0-9]{{1,4}})?)$"
)
_CHINESE_CUT = re.compile(
    r".*(?:[年月日今住于於在至到位址为為是从從系及和与的处：:]|[^㐀-䶿一-鿿々0-9A-Za-z-])",
    re.DOTALL,
)
_CHINESE_AFTER = re.compile(
    r"(?:号楼|號樓|号|號|栋|幢)(?!线|車|车|文|令|公|码|店铺)"
    r"(?:大?院|楼|之[一二三四五0-9]{1,2})?(?:[0-9A-Z]{1,5}(?:号楼|栋|幢|座|单元|门|號|号|楼|层|室|樓|房))*(?:[0-9]{2,5}(?![0-9年月日%.]))?"
)
_PREFECTURES = (
    "北海道|青森県|岩手県|宮城県|秋田県|山形県|福島県|茨城県|栃木県|群馬県|埼玉県|千葉県|東京都|神奈川県|新潟県|"
    "富山県|石川県|福井県|山梨県|長野県|岐阜県|静岡県|愛知県|三重県|滋賀県|京都府|大阪府|兵庫県|奈良県|和歌山県|"
    "鳥取県|島根県|岡山県|広島県|山口県|徳島県|香川県|愛媛県|高知県|福岡県|佐賀県|長崎県|熊本県|大分県|宮崎県|"
    "鹿児島県|沖縄県"
)
JAPANESE_PREFECTURES = tuple(_PREFECTURES.split("|"))
_JAPANESE_HOUSE = (
    r"(?:[0-9]{1,4}|[一二三四五六七八九十]{1,3})(?:丁目(?:[0-9]{1,4}(?:番地?|-)?(?:[0-9]{1,4}号?)?(?:-[0-9]{1,4})?)?"
    r"|番地?(?:の?[0-9]{1,4}号?)?|(?:-[0-9]{1,4}){1,3}(?![0-9-]))"
)
_JAPANESE_AFTER = re.compile(
    rf"[{_HAN}ぁ-んァ-ヶー]{{1,4}}?[市区町村郡島]"
    rf"(?:[{_HAN}ぁ-んァ-ヶー]|(?<=[市区]) ){{0,18}}?{_JAPANESE_HOUSE}"
    r"(?:[ ]?[^\W\d_]{2,14}[0-9]{2,4}(?:号室?)?)?"
)
JAPANESE_BLOCKS = ("丁目", "番地")
_JAPANESE_BEFORE = re.compile(
    rf"(?:[{_HAN}]{{1,5}}[市区町村郡])[{_HAN}ァ-ヶーのケヶ]{{0,10}}(?:[0-9]{{1,4}}|[一二三四五六七八九十]{{1,3}})$"
)
# 丁目 alone is a quarter of a town, as in the news; 番地 is a house.
_JAPANESE_BLOCK = re.compile(
    r"(?:丁目(?=[0-9])|番地)(?:[0-9]{1,4}(?:番地?|-)?(?:[0-9]{1,4}号?)?(?:-[0-9]{1,4})?)?"
    r"(?:の?[0-9]{1,4})?"
)
_JAPANESE_POSTCODE = re.compile(r"[ ]?[0-9]{3}-?[0-9]{4}(?![0-9])")


def english_street(page: Page, start: int, end: int) -> Iterator[Span]:
    """Yield "12 High Street, Flat 3, London SW1A 1AA" around the word for a street."""
    if not page.text[start].isupper():
        return
    before = _ENGLISH_BEFORE.search(page.text, max(0, start - _BEFORE_CHARACTERS), start)
    after = _ENGLISH_AFTER.match(page.text, end, end + _AFTER_CHARACTERS)
    if not before or not after:
        return
    # "3 Patients Dr. Smith", "2 Apples St. Mary": a title before a name is no street.
    if (
        end - start <= 2
        and not after[0].strip(".")
        and re.match(r"\.? [A-Z]", page.text[end : end + 3])
    ):
        return
    yield Span("ADDRESS", before.start(), after.end())


def post_box(page: Page, start: int, end: int) -> Iterator[Span]:
    """Yield "P.O. Box 123"."""
    number = _POST_BOX.match(page.text, end, end + 60)
    if number:
        yield Span("ADDRESS", start, number.end())


def french_street(page: Page, start: int, end: int) -> Iterator[Span]:
    """Yield "12 bis, rue de la Paix, 75002 Paris" around the word for a street."""
    before = _FRENCH_BEFORE.search(page.text, max(0, start - 16), start)
    after = _FRENCH_AFTER.match(page.text, end, end + _AFTER_CHARACTERS) if before else None
    if before and after:
        yield Span("ADDRESS", before.start(), after.end())


def spanish_street(page: Page, start: int, end: int) -> Iterator[Span]:
    """Yield "Calle Mayor, 5, 3º B, 28013 Madrid" from the word for a street on."""
    after = _SPANISH_AFTER.match(page.text, end, end + _AFTER_CHARACTERS)
    if after:
        yield Span("ADDRESS", start, after.end())


def russian_street(page: Page, start: int, end: int) -> Iterator[Span]:
    """Yield "г. Москва, ул. Ленина, д. 5, кв. 12" around the word for a street."""
    after = _RUSSIAN_AFTER.match(page.text, end, end + _AFTER_CHARACTERS)
    if not after:
        return
    before = _RUSSIAN_BEFORE.search(page.text, max(0, start - _BEFORE_CHARACTERS), start)
    named = re.search(rf"[{_CAPITAL}]", after[0]) or (before and before[0].strip())
    if before and named:
        yield Span("ADDRESS", before.start(), after.end())


def chinese_house(page: Page, start: int, end: int) -> Iterator[Span]:
    """Yield "北京市朝阳区建国路88号2号楼301室" around a house's number."""
    if page.language == "ja":  # there 道…号 is a road's number
        return
    if not page.text[start - 1 : start].isalnum() or not page.text[start - 1 : start].isascii():
        return
    first = max(0, start - 40)
    window = page.text[first:start]
    cut = _CHINESE_CUT.match(window)
    before = _CHINESE_BEFORE.search(window, cut.end() if cut else 0)
    after = _CHINESE_AFTER.match(page.text, start, start + 40) if before else None
    if before and after:
        yield Span("ADDRESS", first + before.start(), after.end())


def japanese_prefecture(page: Page, start: int, end: int) -> Iterator[Span]:
    """Yield "東京都新宿区西新宿2-8-1" from the prefecture on."""
    after = _JAPANESE_AFTER.match(page.text, end, end + 48)
    if after:
        yield Span("ADDRESS", start, after.end())


def japanese_block(page: Page, start: int, end: int) -> Iterator[Span]:
    """Yield "新宿区西新宿二丁目8番1号" around a block's number."""
    before = _JAPANESE_BEFORE.search(page.text, max(0, start - 26), start)
    after = _JAPANESE_BLOCK.match(page.text, start, start + 30)
    if before and after:
        yield Span("ADDRESS", before.start(), after.end())


def japanese_postcode(page: Page, start: int, end: int) -> Iterator[Span]:
    """Yield "〒160-0023"."""
    number = _JAPANESE_POSTCODE.match(page.text, end, end + 12)
    if number:
        yield Span("ADDRESS", start, number.end())


# What opens with a bracket is a tag already. A field ends at a line's or a sentence's end, at a
# wide gap, or before the next field's label.
_FIELD = re.compile(
    r"(?![<{\[])(?:(?![ ]{2}|[^\W\d_]{4}[.][ ]|[,.]?[ ][^\W\d_]{2,14}[.]?[ ]?[:：]"
    r"|[,.] (?:[Tt][eé]l|[Pp]hone|DOB|MRN|тел))"
    r"[^\n\r;；。|\t]){3,140}[^\W_]?[^\W_]?[^\W_]?[^\W_]?"
)
_HAN_FIELD = re.compile(
    r"(?![<{\[])(?:(?![ ]{2}|[ ]?[^\W\d_]{2,6}[:：])[^\n\r;；。，,、|\t]){3,60}"
)
_TAIL = re.compile(r"[ ]?(?:\([^()\n]{1,24}\)[ ]?)?[*_]{0,2}[ ]?[:：|\t][*_]{0,2}\s{0,3}")
_HAN_TAIL = re.compile(r"[ ]?[:：|\t]?[ ]{0,3}")

# Said of a patient's home alone: all of the field is the address.
HOME_LABELS = (
    "home address", "patient address", "patient's address", "residential address",
    "mailing address", "adresse du patient", "adresse personnelle", "adresse du domicile",
    "dirección del paciente", "current address", "permanent address", "адрес проживания",
    "адрес регистрации", "адрес места жительства",
    "домашний адрес", "место жительства", "проживает по адресу", "зарегистрирован по адресу",
    "зарегистрирована по адресу",
)  # fmt: skip
# Said of offices and networks too: the field must hold a digit.
ADDRESS_LABELS = (
    "address", "adresse", "dirección", "domicilio", "адрес", "postal address", "adresse postale",
)  # fmt: skip
HAN_ADDRESS_LABELS = (
    "家庭住址", "现住址", "住址", "户籍地址", "户口地址", "联系地址", "家庭地址", "居住地址",
    "通讯地址", "地址", "住所", "現住所", "自宅住所", "ご住所",
)  # fmt: skip


def labelled_address(page: Page, start: int, end: int, home: bool) -> Iterator[Span]:
    """Yield the field after a label in a Western language."""
    tail = _TAIL.match(page.text, end, end + 34)
    if not tail or not (home or opens_field(page.text, start)):
        return
    field = _FIELD.match(page.text, tail.end())
    if field and (home or re.search(r"[0-9]", field[0])):
        yield Span("ADDRESS", field.start(), field.end())


def labelled_han_address(page: Page, start: int, end: int) -> Iterator[Span]:
    """Yield the field after a label in Chinese or Japanese."""
    tail = _HAN_TAIL.match(page.text, end, end + 8)
    if not tail or tail.end() == end:
        return
    field = _HAN_FIELD.match(page.text, tail.end())
    if field and "@" not in field[0] and "://" not in field[0]:
        yield Span("ADDRESS", field.start(), field.end())
