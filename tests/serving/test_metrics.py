from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from table_engine import TableEndpoint

if TYPE_CHECKING:
    from conftest import Small

Numbers = dict[tuple[str, ...], float]


@pytest.fixture
def endpoint(small: Small) -> TableEndpoint:
    return TableEndpoint(small.tokenizer)


def numbers(endpoint: TableEndpoint) -> Numbers:
    """Every sample by its name and the values of its labels but the replica's."""
    response = endpoint.ask("GET", "/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    found: Numbers = {}
    for family in text_string_to_metric_families(response.text):
        for sample in family.samples:
            labels = [value for name, value in sample.labels.items() if name != "replica"]
            found[(sample.name, *labels)] = sample.value
            assert sample.labels["replica"]
    return found


def test_requests_tokens_and_times_are_counted(endpoint: TableEndpoint) -> None:
    prompt = len(endpoint.tokenizer.encode("Fever"))
    endpoint.post("/v1/completions", prompt=["Fever", "Fever"], max_tokens=3, n=2)
    endpoint.events("/v1/completions", prompt="Fever", max_tokens=5)
    endpoint.refused("/v1/completions", prompt="Fever", model="other")
    endpoint.ask("GET", "/v1/models/table")
    for path in ("/a", "/b", "/v1/c"):
        assert endpoint.ask("GET", path).status_code == 404
    found = numbers(endpoint)
    assert found["medray_engine_info", "table"] == 1
    requests = "medray_requests_total"
    assert found[requests, "/v1/completions", "200"] == 2
    assert found[requests, "/v1/completions", "404"] == 1
    assert found[requests, "/v1/models/{name:path}", "200"] == 1
    assert found[requests, "none", "404"] == 3
    assert found["medray_request_duration_seconds_count", "/v1/completions"] == 3
    assert found[("medray_prompt_tokens_total",)] == 3 * prompt
    assert found[("medray_generated_tokens_total",)] == 2 * 2 * 3 + 5
    assert found[("medray_time_to_first_token_seconds_count",)] == 2
    assert found[("medray_requests_in_flight",)] == 1  # the one that asks


def test_scored_prompts_count_as_prompts(endpoint: TableEndpoint) -> None:
    question = {"prompt": "Fever", "options": ["a", "b"]}
    used = endpoint.post("/v1/score", questions=[question])["usage"]
    assert numbers(endpoint)[("medray_prompt_tokens_total",)] == used["total_tokens"]


def test_two_replicas_have_series_of_their_own(small: Small, endpoint: TableEndpoint) -> None:
    other = TableEndpoint(small.tokenizer)
    one, two = (each.ask("GET", "/metrics").text.splitlines() for each in (endpoint, other))
    series = [{line.rpartition(" ")[0] for line in text if line[0] != "#"} for text in (one, two)]
    assert not series[0] & series[1]
