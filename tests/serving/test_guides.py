from __future__ import annotations

import pytest

from serving.engine import Guide
from serving.guides import GuideCompiler


def test_guides_need_a_tokenizer() -> None:
    with pytest.raises(ValueError, match="fast tokenizer"):
        GuideCompiler(None, 100, [1]).compile(Guide("regex", "a"))
