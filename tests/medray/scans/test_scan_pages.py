"""Documents of every kind to page records: text layers, scans in six languages, broken files."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from jobs.samples.render import images_to_pdf
from medray.scans.engines import OcrEngine, RecognitionError, paddle_engine
from medray.scans.pages import PageRecord, count_pages, read_pages

EngineOrSkip = Callable[..., OcrEngine]
DigitalPdf = Callable[..., Path]
Draw = Callable[..., Image.Image]

# Own texts, two paragraphs each; words are divided at line ends when they are drawn.
TEXTS = {
    "en": [
        "Pneumonia often begins suddenly, with a shaking chill, high temperature and pain in the "
        "side of the chest that grows worse with every breath. The sputum may be rust-coloured.",
        "Examination reveals dullness over the affected lobe and bronchial breathing. The "
        "diagnosis is confirmed by an X-ray picture, and treatment must never wait for it.",
    ],
    "fr": [
        "L’insuffisance rénale aiguë se manifeste par une diminution rapide du débit urinaire et "
        "par une élévation de la créatinine. La déshydratation en est la cause la plus fréquente.",
        "Le traitement consiste à corriger la volémie, à arrêter les médicaments néphrotoxiques et "
        "à surveiller le potassium. Une dialyse est nécessaire lorsque l’anurie se prolonge.",
    ],
    "es": [
        "La apendicitis aguda suele comenzar con un dolor alrededor del ombligo que, a las pocas "
        "horas, se desplaza hacia la fosa ilíaca derecha. La fiebre es moderada al principio.",
        "La exploración muestra defensa muscular y dolor a la descompresión. El niño pequeño y el "
        "anciano presentan síntomas engañosos, y por ello la perforación es más común en ellos.",
    ],
    "ru": [
        "Язвенная болезнь проявляется болью в верхней половине живота, которая возникает натощак "
        "или через два часа после еды. Больной нередко просыпается ночью и принимает молоко.",
        "Осложнения язвенной болезни: кровотечение, прободение и сужение привратника. При "
        "внезапной резкой боли необходимо срочно исключить прободение и вызвать хирурга.",
    ],
    "zh": [
        "糖尿病是一组以慢性血糖升高为特征的代谢性疾病。典型症状为多饮、多尿、多食和体重减轻，但许多患者"
        "没有明显症状，仅在体检时发现血糖升高。",
        "治疗应从饮食控制和适量运动开始。血糖仍不达标时，首选二甲双胍；出现酮症酸中毒时，必须立即补液并"
        "静脉滴注胰岛素，同时监测血钾。",
    ],
    "ja": [
        "気管支喘息は、気道の慢性的な炎症により、咳や喘鳴、呼吸困難をくり返す病気である。夜間から早朝に"
        "かけて症状が強くなることが多い。",
        "治療の基本は吸入ステロイド薬であり、発作のときには気管支拡張薬を用いる。会話ができないほどの発作"
        "では、ためらわずに救急車を呼ぶ。",
    ],
}
BODY = [
    (72, 700 - 16 * index, f"Body row {index} of the page tells of the heart and its valves and")
    for index in range(12)
]


def no_engine(language: str) -> OcrEngine:
    """An engine that never reads: what the tests of everything but recognition give."""
    raise RecognitionError(f"no page of this test is to be recognised in {language}")


def read(path: Path, language: str = "en", engine: Any = no_engine) -> list[PageRecord]:
    return list(read_pages(path, 1, max(1, count_pages(path)), language, engine))


@pytest.mark.parametrize("language", list(TEXTS))
def test_scanned_pages_are_read(
    language: str,
    draw: Draw,
    engine_or_skip: EngineOrSkip,
    error_rate: Callable[[str, str], float],
    tmp_path: Path,
) -> None:
    paragraphs = TEXTS[language]
    path = tmp_path / "scan.pdf"
    images_to_pdf([draw(language, paragraphs * 2, 1)], path)  # en fr es ru: in two columns
    (page,) = read(path, language, engine_or_skip)
    assert page.status == "ok"
    assert page.error is None
    assert page.confidence is not None and page.confidence > 0.9
    assert (page.engine, bool(page.engine_version)) == (engine_or_skip(language).name, True)
    assert len(page.header) == 1
    assert page.footer == ("101",)
    gold = [paragraphs[0][:20], *paragraphs * 2]
    assert (
        error_rate(page.text, "\n".join(gold) if language not in "zhja" else "".join(gold)) < 0.05
    )
    assert len(page.text.split("\n\n")) == len(gold)


def test_russian_through_a_recogniser_without_cyrillic_is_told(
    draw: Draw, engine_or_skip: EngineOrSkip, tmp_path: Path
) -> None:
    engine_or_skip("en", "paddle")
    draw("ru", TEXTS["ru"], 2).save(tmp_path / "page.png")
    (page,) = read(tmp_path / "page.png", "ru", lambda language: paddle_engine())
    assert page.status == "wrong_script"


def test_a_real_scan_in_two_columns(
    real_data: Path, engine_or_skip: EngineOrSkip, error_rate: Callable[[str, str], float]
) -> None:
    """Measured: .017 with Tesseract, .019 with PaddleOCR; read across the columns, above .4."""
    gold = (real_data / "pdf" / "gold" / "linn.txt").read_text(encoding="utf-8")
    path = real_data / "pdf" / "ocrmypdf__linn.pdf"
    (page,) = read(path, "en", lambda language: engine_or_skip(language, "tesseract"))
    assert page.status == "ok"
    assert error_rate(page.text, gold) < 0.03


def test_a_text_layer_is_taken_without_an_engine(digital_pdf: DigitalPdf) -> None:
    header, folio = (72, 765, "Diseases of the Heart"), (300, 20, "17")
    path = digital_pdf([[header, *BODY, folio], BODY])
    first, second = read(path)
    assert count_pages(path) == 2
    assert (first.status, first.engine, first.confidence) == ("text_layer", "pypdfium2", None)
    assert first.header == ("Diseases of the Heart",)
    assert first.footer == ("17",)
    assert first.text == second.text == " ".join(text for _, _, text in BODY)
    assert (first.document, first.page_number, second.page_number) == ("digital.pdf", 1, 2)


def test_only_the_pages_asked_for_are_read(digital_pdf: DigitalPdf) -> None:
    path = digital_pdf([BODY] * 4)
    pages = list(read_pages(path, 2, 3, "en", no_engine))
    assert [page.page_number for page in pages] == [2, 3]
    (beyond,) = read_pages(path, 5, 5, "en", no_engine)
    assert (beyond.status, beyond.error) == (
        "page_error",
        "there is no such page: the document has 4",
    )


def test_an_empty_page_needs_no_engine(digital_pdf: DigitalPdf) -> None:
    assert [page.status for page in read(digital_pdf([[], BODY]))] == ["blank", "text_layer"]


def test_a_page_that_fails_leaves_the_others(digital_pdf: DigitalPdf) -> None:
    pages = read(digital_pdf([BODY, [(72, 700, "too short")], BODY]))
    assert [page.status for page in pages] == ["text_layer", "page_error", "text_layer"]
    assert pages[1].error is not None and pages[1].error.startswith("RecognitionError: no page")


def test_images_are_documents_too(draw: Draw, engine_or_skip: EngineOrSkip, tmp_path: Path) -> None:
    page = draw("en", TEXTS["en"], 2)
    page.save(tmp_path / "one.jpg", quality=80)
    page.save(tmp_path / "many.tiff", save_all=True, append_images=[page.rotate(0)])
    assert (count_pages(tmp_path / "one.jpg"), count_pages(tmp_path / "many.tiff")) == (1, 2)
    engine = engine_or_skip("en", "tesseract")
    (photo,) = read(tmp_path / "one.jpg", "en", lambda language: engine)
    (second,) = read_pages(tmp_path / "many.tiff", 2, 2, "en", lambda language: engine)
    assert photo.status == second.status == "ok"
    assert "Pneumonia often begins suddenly" in second.text


def test_the_samples_are_the_same_bytes_every_time(draw: Draw, tmp_path: Path) -> None:
    page = draw("fr", TEXTS["fr"], 1)
    images_to_pdf([page, page], tmp_path / "a.pdf")
    images_to_pdf([page, page], tmp_path / "b.pdf")
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    assert (tmp_path / "a.pdf").stat().st_size < 300_000


@pytest.mark.parametrize("content", [b"", b"no document", b"%PDF-1.7\nnothing else"])
def test_what_is_no_document_gives_one_record(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.pdf"
    path.write_bytes(content)
    assert count_pages(path) == 0
    (page,) = read_pages(path, 1, 1, "en", no_engine)
    assert (page.status, page.page_number, page.text) == ("document_error", 1, "")
    assert page.error is not None and "\n" not in page.error


def test_a_missing_file_and_an_unknown_language_are_errors(
    digital_pdf: DigitalPdf, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "absent.pdf")
    with pytest.raises(KeyError, match="no language 'xx'"):
        read(digital_pdf([BODY]), "xx")


def encoded(format_name: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    grey = Image.linear_gradient("L").resize((90, 120))
    grey.save(stream, format_name, **options)
    return stream.getvalue()


SOUND = {
    "png": encoded("PNG"),
    "jpeg": encoded("JPEG"),
    "tiff": encoded("TIFF", save_all=True, append_images=[Image.new("L", (50, 60), 200)]),
    "tiff_lzw": encoded("TIFF", compression="tiff_lzw"),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), kind=st.sampled_from([*SOUND, "pdf"]))
def test_no_damage_to_a_file_raises(
    data: st.DataObject, kind: str, digital_pdf: DigitalPdf, tmp_path: Path
) -> None:
    damaged = bytearray(SOUND[kind] if kind in SOUND else digital_pdf([BODY, BODY]).read_bytes())
    for _ in range(data.draw(st.integers(0, 20))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged"
    path.write_bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    for page in read(path):
        assert (page.error is None) is (page.status not in ("page_error", "document_error"))
