"""Answers of /v1/embeddings."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy

from serving.protocol import Embedding, EmbeddingRequest, Embeddings, EmbeddingUsage
from serving.service import Service


async def embed(service: Service, request: EmbeddingRequest) -> Embeddings:
    """Return one vector an input, in the inputs' order."""
    adapter = service.adapter_of(request.model)
    sequences = [service.prompt_tokens(text, "input") for text in request.inputs]
    vectors = await service.within_time(service.engine.embed(sequences, adapter))
    as_base64 = request.encoding_format == "base64"
    data = [
        Embedding(embedding=_base64(vector) if as_base64 else list(vector), index=index)
        for index, vector in enumerate(vectors)
    ]
    total = sum(len(tokens) for tokens in sequences)
    used = EmbeddingUsage(prompt_tokens=total, total_tokens=total)
    return Embeddings(data=data, model=request.model, usage=used)


def _base64(vector: Sequence[float]) -> str:
    return base64.b64encode(numpy.array(vector, dtype="<f4").tobytes()).decode("ascii")
