"""The pages in a real browser: headless Chromium, which asks no host but the endpoint.

Needs the package ``playwright`` and a Chromium: Debian's ``chromium``, or the one that
``playwright install chromium`` fetches. Where one is missing, the tests are skipped and say so.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.answers.scoring import encode_question
from serving.api import create_api
from serving.openapi import OPEN_PATHS
from serving.protocol import RequestError
from table_engine import TableEndpoint, listening

if TYPE_CHECKING:
    from conftest import Small

playwright = pytest.importorskip(
    "playwright.sync_api", reason="pip install playwright, for a browser to try the page in"
)
KEY = "a-key-for-the-page"
LANGUAGES = ["English", "中文", "日本語", "Français", "Русский", "Español"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    with playwright.sync_playwright() as driver:
        if path is None and not Path(driver.chromium.executable_path).is_file():
            pytest.skip("no Chromium: apt-get install chromium, or playwright install chromium")
        # Chromium's sandbox does not start for root, which tests in containers run as.
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class WantsKey:
    """A middleware that lets nobody in without the key, but to the pages."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            sent = dict(scope["headers"]).get(b"authorization", b"").decode()
            if sent != f"Bearer {KEY}":
                raise RequestError("no valid API key", status=401)
        await self._app(scope, receive, send)


@pytest.fixture(scope="module")
def endpoint(small: Small) -> TableEndpoint:
    endpoint = TableEndpoint(small.tokenizer, adapters=["cardiology", "oncology"], pause_s=0.002)
    endpoint.api = create_api(endpoint.service, [Middleware(WantsKey)])
    return endpoint


@pytest.fixture
def page(browser: Any, endpoint: TableEndpoint) -> Iterator[Any]:
    """The page as it opens, without a key. What it asks of other hosts, and its faults, fail."""
    with listening(endpoint.api) as address:
        context = browser.new_context(viewport={"width": 1000, "height": 1250})
        page = context.new_page()
        foreign: list[str] = []
        faults: list[str] = []
        page.on("request", lambda request: foreign.append(request.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(address + "/")
        yield page
        context.close()
    assert [url for url in foreign if not url.startswith((address, "data:"))] == []
    assert faults == []


def with_key(page: Any) -> None:
    page.fill("#key", KEY)
    page.locator("#key").blur()
    playwright.expect(page.locator("#base option")).to_have_count(1)


def test_without_its_key_the_page_says_what_is_missing(page: Any) -> None:
    playwright.expect(page.locator("#model-note")).to_have_text("401: no valid API key")


def test_every_language_has_a_question_and_an_exam_question(page: Any) -> None:
    assert page.locator("#language option").all_inner_texts() == LANGUAGES
    seen = set()
    for language in LANGUAGES:
        page.select_option("#language", label=language)
        texts = [page.input_value(field) for field in ("#question", "#exam", "#options")]
        assert all(texts)
        assert len(texts[2].splitlines()) == 4
        seen.add(tuple(texts))
    assert len(seen) == 6


def test_tokens_are_seen_as_they_come(page: Any, endpoint: TableEndpoint) -> None:
    with_key(page)
    assert page.locator("#adapter option").all_inner_texts() == ["none", "cardiology", "oncology"]
    page.select_option("#adapter", "oncology")
    page.select_option("#language", label="Русский")
    page.fill("#max-tokens", "120")
    page.click("#ask")
    playwright.expect(page.locator("#answer")).not_to_be_empty()
    early = page.inner_text("#answer")
    playwright.expect(page.locator("#ask-note")).to_contain_text("120 tokens, first after")
    prompt = f"User: {page.input_value('#question')}\nAssistant:"
    tokens = endpoint.tokenizer.encode(prompt)
    text = endpoint.tokenizer.decode(
        endpoint.greedy(tokens, 120, "oncology"), skip_special_tokens=True
    )
    assert page.locator("#answer").text_content() == text
    assert len(early) < len(text)
    assert "cut at the limit" in page.inner_text("#ask-note")


def test_an_answer_can_be_stopped(page: Any, endpoint: TableEndpoint) -> None:
    with_key(page)
    page.fill("#max-tokens", "256")
    page.click("#ask")
    playwright.expect(page.locator("#answer")).not_to_be_empty()
    page.click("#stop")
    playwright.expect(page.locator("#ask-note")).to_have_text("stopped")
    page.wait_for_timeout(100)
    assert endpoint.engine.running == 0


def test_options_are_shown_as_bars(page: Any, endpoint: TableEndpoint, tmp_path: Path) -> None:
    with_key(page)
    page.click("#score")
    playwright.expect(page.locator(".option")).to_have_count(4)
    prompt = page.input_value("#exam")
    options = [" " + line for line in page.input_value("#options").splitlines()]
    before, afters = encode_question(endpoint.tokenizer, prompt, options, add_special_tokens=True)
    sums = [sum(endpoint.logprobs([before[-1], *after])) for after in afters]
    likeliest = sums.index(max(sums))
    for number, value in enumerate(sums):
        row = page.locator(".option").nth(number)
        playwright.expect(row.locator(".number")).to_contain_text(f"log {value:.2f}")
    best = page.locator(".option.best .name").all_inner_texts()
    assert best == [options[likeliest].strip()]
    widths = [page.locator(".bar").nth(number).bounding_box()["width"] for number in range(4)]
    assert widths.index(max(widths)) == likeliest
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    assert (tmp_path / "page.png").stat().st_size > 10_000


def test_what_goes_wrong_is_shown(page: Any) -> None:
    with_key(page)
    page.fill("#max-tokens", "999")
    page.click("#ask")
    playwright.expect(page.locator("#ask-note")).to_contain_text("400: max_tokens is 999")
    page.fill("#options", "")
    page.click("#score")
    playwright.expect(page.locator("#score-note")).to_contain_text("400: questions.0.options")


def test_the_document_is_shown_as_a_page(page: Any) -> None:
    page.click("#docs")
    page.wait_for_selector("details")
    assert page.locator("details").count() == 13
    row = page.locator("details", has_text="/v1/completions").first
    row.locator("summary").first.click()
    assert "best_of" in row.inner_text()
    assert "not finished in the time" in row.inner_text()
