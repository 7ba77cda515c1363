from __future__ import annotations

import base64
from typing import Any

import numpy
import pytest

from table_engine import TableEndpoint

PATH = "/v1/embeddings"
TEXTS = ["fever", "患者有发热"]


def test_vectors_in_the_order_of_the_inputs(endpoint: TableEndpoint) -> None:
    tokens = [endpoint.tokenizer.encode(text) for text in TEXTS]
    answer = endpoint.post(PATH, input=TEXTS)
    assert [entry["index"] for entry in answer["data"]] == [0, 1]
    for row, entry in zip(tokens, answer["data"], strict=True):
        table = endpoint.engine._tables[""]
        expected = table[row, : len(entry["embedding"])].mean(0).tolist()
        assert entry["embedding"] == pytest.approx(expected)
        assert entry["object"] == "embedding"
    total = sum(map(len, tokens))
    assert answer["usage"] == {"prompt_tokens": total, "total_tokens": total}
    # The other forms of an input, and base64.
    assert endpoint.post(PATH, input=tokens)["data"] == answer["data"]
    assert endpoint.post(PATH, input=tokens[0])["data"] == answer["data"][:1]
    coded = endpoint.post(PATH, input=TEXTS[0], encoding_format="base64")["data"][0]["embedding"]
    vector = numpy.frombuffer(base64.b64decode(coded), "<f4")
    assert vector.tolist() == pytest.approx(answer["data"][0]["embedding"])


def test_an_adapter_has_vectors_of_its_own(endpoint: TableEndpoint) -> None:
    base = endpoint.post(PATH, input="fever")
    other = endpoint.post(PATH, input="fever", model="table:oncology")
    assert other["model"] == "table:oncology"
    assert base["data"] != other["data"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"input": ""}, "at least 1 character"),
        ({"input": []}, "at least 1 item"),
        ({"input": ["a", ""]}, "a prompt has no tokens"),
        ({"input": ["a"] * 2049}, "2049 inputs; at most 2048 are taken"),
        ({"input": "a", "dimensions": 8}, "dimensions: not supported: a vector has the model's"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format"),
    ],
)
def test_wrong_requests_are_named(
    endpoint: TableEndpoint, fields: dict[str, Any], message: str
) -> None:
    status, error = endpoint.refused(PATH, **fields)
    assert status == 400
    assert message in error["message"]
