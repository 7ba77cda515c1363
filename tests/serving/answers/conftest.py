from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from table_engine import TableEndpoint

if TYPE_CHECKING:
    from conftest import Small


@pytest.fixture
def endpoint(small: Small) -> TableEndpoint:
    """An endpoint whose log-probabilities are known exactly, with two adapters."""
    return TableEndpoint(small.tokenizer, adapters=["cardiology", "oncology"])


@pytest.fixture(scope="session")
def small_endpoint(small: Small) -> TableEndpoint:
    """The same for the whole session: it remembers every request."""
    return TableEndpoint(small.tokenizer)
