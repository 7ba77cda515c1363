"""Where in a corpus artifact its parts lie."""

from __future__ import annotations

from dataclasses import dataclass

from medray.storage.location import Location

NAME = "corpus.json"


@dataclass(frozen=True)
class CorpusFolders:
    """The folders of a corpus.

    ``decisions``: one row for every row of the input. ``documents``: the texts, of which
    ``decisions`` tells how often each stands in the corpus. ``tokenizer``: a Hugging Face folder.
    ``windows``: what training reads. ``evidence``: pairs of removed and retained duplicates.
    """

    decisions: Location
    documents: Location
    evidence: Location
    tokenizer: Location
    windows: Location

    @classmethod
    def read(cls, corpus: Location) -> CorpusFolders:
        """Return the folders of a finished corpus artifact."""
        paths = (corpus / NAME).read_json()
        return cls(**{name: corpus / path for name, path in paths.items()})

    def write(self, corpus: Location) -> None:
        """Write down the folders, relative to the artifact's."""
        parts = vars(self).items()
        (corpus / NAME).write_json({name: place.relative_to(corpus) for name, place in parts})
