"""Pieces of the pretrain job that need no worker group."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medray.corpus.folders import CorpusFolders
from medray.corpus.tokens.tokenizer import train_tokenizer
from medray.corpus.tokens.windows import window_schema
from medray.errors import InputError
from medray.models.folder import save_model
from medray.models.small import NewModelConfig, make_model
from medray.models.source import Source
from medray.storage.location import Location
from medray.training import pretrain
from medray.training.pretrain import window_files
from medray.training.sequences import Sequences, read_windows


def windows(file: Path, tokens: list[list[int]]) -> None:
    """Write a file of windows of three tokens, the shorter ones padded with 9."""
    file.parent.mkdir(parents=True, exist_ok=True)
    padded = [window + [9] * (3 - len(window)) for window in tokens]
    columns = {
        "tokens": padded,
        "length": [len(window) for window in tokens],
        "document_ids": [[file.stem]] * len(tokens),
        "starts": [[0]] * len(tokens),
        "positions": [[0]] * len(tokens),
        "language": ["en"] * len(tokens),
    }
    pq.write_table(pa.table(columns, schema=window_schema(3)), file)


@pytest.fixture
def corpus(tmp_path: Path) -> CorpusFolders:
    """Where a corpus's parts lie, written down as the curate job does."""
    folders = CorpusFolders(
        **{name: Location.of(tmp_path / name) for name in CorpusFolders.__dataclass_fields__}
    )
    folders.write(Location.of(tmp_path))
    return folders


def windows_of(corpus: Path) -> Sequences:
    return read_windows(window_files(Location.of(corpus)))


def test_all_windows_are_read_in_order_and_every_token_is_a_label(
    corpus: CorpusFolders, tmp_path: Path
) -> None:
    windows(tmp_path / "windows" / "b.parquet", [[7, 8]])
    windows(tmp_path / "windows" / "a.parquet", [[1, 2, 3], [4]])
    found = windows_of(tmp_path)
    assert found.tokens.tolist() == [1, 2, 3, 4, 7, 8]
    assert found.labels.tolist() == found.tokens.tolist()
    assert found.offsets.tolist() == [0, 3, 4, 6]


def test_what_a_kill_left_half_written_is_not_read(corpus: CorpusFolders, tmp_path: Path) -> None:
    folder = tmp_path / "windows"
    windows(folder / "a.parquet", [[1, 2, 3]])
    (folder / ".b.parquet.0123456789abcdef.partial").write_bytes(b"PAR1torn")
    assert len(windows_of(tmp_path)) == 1


def test_a_base_model_with_another_tokenizer_than_the_corpus_is_refused(
    corpus: CorpusFolders, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    own = train_tokenizer(iter(["fever and cough"] * 3), 300)
    sizes = NewModelConfig(
        hidden_size=16, layers=1, attention_heads=1, key_value_heads=1, feed_forward_size=16
    )
    model = make_model(sizes, own, 0)
    save_model(model, model.state_dict(), own, base)
    train_tokenizer(iter(["fièvre et toux"] * 3), 310).save_pretrained(corpus.tokenizer.path)
    with pytest.raises(InputError, match=r"stages\.pretrain\.model: the tokenizer of"):
        pretrain.check_vocabulary(Source(str(base)), Location.of(tmp_path), "pretrain")
    own.save_pretrained(corpus.tokenizer.path)
    pretrain.check_vocabulary(Source(str(base)), Location.of(tmp_path), "pretrain")
