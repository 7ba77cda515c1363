"""Made-up exam items and ordinary prose in six languages, and an index of the items."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from medray.corpus.decontamination import DecontaminateConfig, Decontamination
from medray.corpus.decontamination.building import build_index
from medray.corpus.decontamination.evidence import JudgedByBenchmarks
from medray.recipe import expand
from medray.storage.location import Location

QUESTIONS = {
    "en": "A 47-year-old beekeeper comes to the clinic because of three weeks of numbness in both "
    "feet and a tremor that is worse in the evening. Which of the following should be measured?",
    "fr": "Une apicultrice de 47 ans consulte pour un engourdissement des deux pieds depuis trois "
    "semaines, avec un tremblement qui s'aggrave le soir. Quel dosage faut-il demander ?",
    "es": "Una apicultora de 47 años acude a la consulta por entumecimiento de ambos pies desde "
    "hace tres semanas y un temblor que empeora por la tarde. ¿Qué determinación solicitaría?",
    "ru": "Пчеловод 47 лет обратился в клинику в связи с онемением обеих стоп в течение трёх "
    "недель и дрожанием, которое усиливается к вечеру. Какой показатель следует определить?",
    "zh": "养蜂人，女，47岁。双足麻木三周，伴傍晚加重的震颤，"
    "遂来门诊就诊。下列哪一项检查最应当首先进行？",
    "ja": "47歳の養蜂家。3週前からの両足のしびれと"
    "夕方に強くなる手の震えを主訴に来院した。まず測定すべきものはどれか。",
}
OPTIONS = {
    "en": ["Serum copper", "Vitamin B12", "Urinary mercury", "Plasma ammonia"],
    "fr": ["Cuivre sérique", "Vitamine B12", "Mercure urinaire", "Ammoniémie"],
    "es": ["Cobre sérico", "Vitamina B12", "Mercurio urinario", "Amonio plasmático"],
    "ru": ["Медь сыворотки", "Витамин B12", "Ртуть мочи", "Аммиак плазмы"],
    "zh": ["血清铜", "维生素B12", "尿汞", "血氨"],
    "ja": ["血清銅", "ビタミンB12", "尿中水銀", "血中アンモニア"],
}
PROSE = {
    "en": (
        "Bees have been kept for honey since antiquity, and their stings are the most common "
        "reason why keepers seek medical help during the summer months.",
        "Numbness of the feet has many causes; a careful history, which includes work and diet, "
        "often tells more than a long list of laboratory tests, and costs the patient far less.",
    ),
    "fr": (
        "On élève des abeilles pour le miel depuis l'Antiquité, et leurs piqûres sont le premier "
        "motif de recours aux soins des apiculteurs pendant les mois d'été.",
        "L'engourdissement des pieds a de nombreuses causes ; un interrogatoire soigneux, qui "
        "porte sur le travail et l'alimentation, en dit souvent plus qu'une longue liste "
        "d'analyses.",
    ),
    "es": (
        "Las abejas se crían por su miel desde la Antigüedad, y sus picaduras son el motivo más "
        "frecuente de que los apicultores busquen ayuda médica durante los meses de verano.",
        "El entumecimiento de los pies tiene muchas causas; una anamnesis cuidadosa, que incluya "
        "el trabajo y la dieta, suele decir más que una larga lista de pruebas de laboratorio.",
    ),
    "ru": (
        "Пчёл держат ради мёда с древних времён, и их укусы остаются самой частой причиной, по "
        "которой пасечники обращаются за медицинской помощью в летние месяцы.",
        "У онемения стоп много причин; внимательный расспрос, в котором не забыты работа и "
        "питание, часто говорит больше, чем длинный список лабораторных исследований.",
    ),
    "zh": (
        "人类自古以来就饲养蜜蜂以获取蜂蜜，而蜂蜇伤是养蜂人在夏季求医的最常见原因，多数只需局部冷敷处理。",
        "足部麻木的原因很多，详细询问职业和饮食习惯，往往比开一长串化验单更有价值，也能为患者节省不少费用。",
    ),
    "ja": (
        "蜂蜜を得るためにミツバチは古代から飼われており、夏に養蜂家が医療機関を受診する理由として最も多いのは刺傷である。",
        "足のしびれには多くの原因があり、仕事や食生活を含む丁寧な問診は、長い検査項目の一覧よりも多くのことを教えてくれる。",
    ),
}


def write_rows(file: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def exam(folder: Path, language: str, rows: Sequence[Mapping[str, Any]], **more: Any) -> Any:
    """Return a configuration of one benchmark, its rows (question, options) written to a file."""
    columns = {"question": "question", "options": "option"} | more.pop("columns", {})
    entry = {
        "language": language,
        "benchmark": f"made-up-{language}",
        "files": str(write_rows(folder / f"{language}.jsonl", rows)),
        "columns": {name: role for name, role in columns.items() if name in rows[0]},
    }
    return DecontaminateConfig.model_validate({"files": [entry]} | more)


def six_exams(folder: Path) -> DecontaminateConfig:
    """Return a configuration of one made-up question a language."""
    entries: list[Any] = []
    for code, question in QUESTIONS.items():
        row = {"question": question, "options": OPTIONS[code]}
        entries += exam(folder, code, [row]).files
    return DecontaminateConfig(files=tuple(entries))


def locate(pattern: str, key: str) -> list[Location]:
    return expand(pattern, {}, key)


def step_of(config: DecontaminateConfig, folder: Path) -> Decontamination:
    """Return the step on a freshly built index."""
    target = Location.of(folder / "index")
    build_index(config, locate, target)
    return Decontamination(config, target)


def judge(step: Decontamination, language: str, *texts: str) -> JudgedByBenchmarks:
    return step(pa.array(texts, pa.string()), language)


def left_of(step: Decontamination, language: str, text: str) -> str:
    """Return what the step leaves of one text."""
    judged = judge(step, language, text)
    return text if judged.texts is None else str(judged.texts[0])
