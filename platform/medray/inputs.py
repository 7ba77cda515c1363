"""How a recipe names input files of one language: what corpus, scans and questions share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from medray.languages import LANGUAGES
from medray.recipe import Config, InputFiles


class LanguageFiles(Config):
    """Files of one language."""

    language: str = Field(description="language code, one of en zh ja fr ru es")
    files: Annotated[str, InputFiles()] = Field(description="path, URI or pattern of the files")

    @field_validator("language")
    @classmethod
    def _known(cls, code: str) -> str:
        if code not in LANGUAGES:
            raise ValueError(f"no language {code}; there are {', '.join(LANGUAGES)}")
        return code
