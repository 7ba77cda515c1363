"""Training a byte-level BPE tokenizer and loading any Hugging Face tokenizer from a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from medray.errors import InputError
from medray.recipe import Config, Incidental, InputFolder

BEGIN, END, PADDING = "<s>", "</s>", "<pad>"

# What a token may not reach across: the pattern that the Qwen3.5 tokenizers split by. Each digit
# stands alone, so that a dose is read by its digits; a word takes the blank or mark before it and
# its combining accents (NFD French, stressed Russian, Japanese voicing marks) along. Of the
# published patterns with single digits it is one that both engines know: gigatoken compiles in
# seven of them and reads no other.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}|"
    r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class TokenizerConfig(Config):
    """A tokenizer to train on the kept text, or the folder of one that exists."""

    vocabulary_size: int = Field(default=32_000, ge=300, description="size where one is trained")
    folder: Annotated[str | None, InputFolder()] = Field(
        default=None, description="Hugging Face folder to take instead"
    )
    sample_characters: int = Field(
        default=20_000_000,
        ge=1,
        description="characters of kept text to train on, about: languages in proportion, "
        "documents by the hash of their ids. Six languages take 2 GB and a CPU minute at 20e6",
    )
    engine: Annotated[Literal["fastest", "huggingface"], Incidental()] = Field(
        default="fastest",
        description="fastest: gigatoken where it is installed (medray[fast]) and proves equal to "
        "Hugging Face on this corpus; the tokens are the same either way",
    )
    gate_documents: Annotated[int, Incidental()] = Field(
        default=200, ge=1, description="documents of each language on which engines are compared"
    )


def train_tokenizer(texts: Iterator[str], vocabulary_size: int) -> Any:
    """Train a byte-level BPE tokenizer; every text of every language round-trips exactly.

    Returns a ``transformers.PreTrainedTokenizerFast`` with begin, end and padding tokens, whose
    words are those of ``SPLIT``.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
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
