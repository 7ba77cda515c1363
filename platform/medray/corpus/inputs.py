"""How a recipe names a corpus's files, and what stands where in them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from medray.corpus.encodings import find_encoding
from medray.inputs import LanguageFiles
from medray.recipe import Config

FileFormat = Literal["parquet", "json_lines", "text", "html"]


class ColumnMapping(Config):
    """The names that a document's parts have in the files; the defaults are CulturaX's.

    A dot leads into an object: ``meta.url`` is the key ``url`` of ``meta``, unless a column has
    that very name.
    """

    text: str = Field(default="text", description="column or key of the text")
    url: str | None = Field(default="url", description="of the address; null: there is none")
    timestamp: str | None = Field(default="timestamp", description="of the date; null: none")
    source: str | None = Field(default="source", description="of the source's name; null: none")

    def named(self) -> dict[str, str]:
        """Return the name in the files of each part that has one."""
        return {part: name for part, name in self.model_dump().items() if name is not None}


class HtmlConfig(Config):
    """How the main text is taken out of a page (trafilatura)."""

    favour: Literal["balanced", "recall", "precision"] = Field(
        default="balanced", description="more text, or less that does not belong to it"
    )
    title: bool = Field(default=True, description="make the title the first line, if it is not")
    tables: bool = Field(default=True, description="keep the text of tables")
    comments: bool = Field(default=False, description="keep what readers wrote under the page")
    maximum_bytes: int = Field(
        default=10 * 2**20, ge=1, description="a longer page is left out (reason too_large)"
    )
    cpu_limit_s: float = Field(
        default=60.0, gt=0, description="a page that takes longer is left out (html_error)"
    )


class CorpusInput(LanguageFiles):
    """Files of one language: Parquet, JSON lines, plain text or HTML; ``.gz`` and ``.zst`` too."""

    format: FileFormat | Literal["auto"] = Field(
        default="auto",
        description="auto: by the name's end (.parquet .jsonl .json .ndjson .txt .html .htm)",
    )
    content: Literal["text", "html"] = Field(
        default="text", description="what the text column of Parquet and JSON lines holds"
    )
    columns: ColumnMapping = Field(default=ColumnMapping())
    source_name: str | None = Field(
        default=None,
        description="source of documents that name none; absent: the file's name, or the "
        "folder's where each file is one document",
    )
    encoding: str | None = Field(
        default=None,
        description="of text and HTML files; absent: UTF-8 for text, found out page by page "
        "for HTML",
    )
    html: HtmlConfig = Field(default=HtmlConfig())

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, name: str | None) -> str | None:
        if name is not None and find_encoding(name) is None:
            raise ValueError(f"no encoding {name}; use utf-8, windows-1252, gb18030, ...")
        return name

    @model_validator(mode="after")
    def _encoding_is_of_files(self) -> CorpusInput:
        if self.encoding is not None and self.format in ("parquet", "json_lines"):
            raise ValueError(f"{self.format} is always UTF-8: leave encoding away")
        return self
