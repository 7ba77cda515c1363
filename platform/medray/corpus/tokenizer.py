"""Training a byte-level BPE tokenizer and loading any Hugging Face tokenizer from a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medray.errors import InputError

BEGIN, END, PADDING = "<s>", "</s>", "<pad>"


def train_tokenizer(texts: Iterator[str], vocabulary_size: int) -> Any:
    """Train a byte-level BPE tokenizer; every text of every language round-trips exactly.

    Returns a ``transformers.PreTrainedTokenizerFast`` with begin, end and padding tokens. Digits
    are cut one by one, so that a dose is read by its digits (as Llama does).
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[BEGIN, END, PADDING],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PADDING,
        clean_up_tokenization_spaces=False,
    )


def load_tokenizer(folder: Path) -> Any:
    """Load the tokenizer of a Hugging Face folder. Raises InputError where there is none."""
    from transformers import AutoTokenizer

    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; a tokenizer folder is wanted")
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: holds no tokenizer that can be loaded ({error})") from error
