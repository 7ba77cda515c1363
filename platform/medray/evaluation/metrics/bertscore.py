"""BERTScore: how alike two texts are by the embeddings of their tokens.

Zhang et al. (2020), "BERTScore: Evaluating text generation with BERT", as the package bert-score
0.3.13 computes it, without its baselines. That package itself keeps every embedding in memory (15
GB for MMedBench's rationales), and fails on an empty text and on a tokenizer that tells no length.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from medray.corpus.tokens.tokenizer import load_tokenizer
from medray.errors import InputError

# The layer whose embeddings agree best with people's marks on WMT16: bert-score's model2layers.
# MMedBench's script uses bert-base-multilingual-cased, layer 9 of 12.
LAYERS = {
    "bert-base-multilingual-cased": 9,
    "bert-base-uncased": 9,
    "bert-base-chinese": 8,
    "roberta-base": 10,
    "roberta-large": 17,
    "xlm-roberta-base": 9,
    "xlm-roberta-large": 17,
    "deberta-large-mnli": 18,
    "deberta-xlarge-mnli": 40,
    "mdeberta-v3-base": 10,
}


@dataclass(frozen=True)
class BertScores:
    """Each item's values in 0..1, and how many items had a text cut at the model's length."""

    precision: list[float]
    recall: list[float]
    f1: list[float]
    cut_items: int


@dataclass(frozen=True)
class BertScorer:
    """An encoder cut after the layer that is compared."""

    model: Any
    tokenizer: Any
    batch_size: int
    device: str

    @classmethod
    def load(
        cls,
        folder: Path | str | None,
        layer: int | None = None,
        device: str = "cpu",
        batch_size: int = 32,
    ) -> BertScorer:
        """Load an encoder such as BERT from a Hugging Face folder, in fp32; never from the hub.

        ``layer``: 1 is the first; without, the folder's name decides (``LAYERS``). ``InputError``
        where there is no folder, no encoder in it, or no such layer.
        """
        if folder is None:
            raise InputError(
                "BERTScore: no model folder is given; name one that holds an encoder such as "
                "bert-base-multilingual-cased (nothing is downloaded)"
            )
        folder = Path(folder)
        tokenizer = load_tokenizer(folder)
        model = _load_encoder(folder)
        layers = model.encoder.layer
        if layer is None:
            layer = _known_layer(folder, len(layers))
        if not 1 <= layer <= len(layers):
            raise InputError(f"{folder}: no layer {layer} for BERTScore; it has 1 to {len(layers)}")
        model.encoder.layer = layers[:layer]
        return cls(model.to(device).eval(), tokenizer, batch_size, device)

    def scores(
        self, predictions: Sequence[str], references: Sequence[str], idf: bool = False
    ) -> BertScores:
        """Return precision, recall and F1 of each prediction and its reference.

        Every token is matched with the most alike of the other text, by cosine. With ``idf`` tokens
        weigh by how few references have them, log((N + 1) / (n + 1)); else all alike, but those
        that begin and end a text not at all. A text without a token scores 0.
        """
        mine, theirs = self._tokens(predictions), self._tokens(references)
        weights = _idf_weights(theirs) if idf else {}
        default = math.log(len(theirs) + 1) if idf else 1.0
        values = [(0.0, 0.0, 0.0)] * len(mine)
        pairs = list(zip(mine, theirs, strict=True))
        # Long texts with long ones: less of a batch is padding.
        order = sorted(range(len(pairs)), key=lambda i: max(map(len, pairs[i])))
        for batch in _batches(
            [i for i in order if all(map(self._content, pairs[i]))], self.batch_size
        ):
            found = self._compare([pairs[i] for i in batch], weights, default)
            for place, value in zip(batch, found, strict=True):
                values[place] = value
        cut = sum(any(len(text) >= self.longest for text in pair) for pair in pairs)
        precision, recall, f1 = ([value[k] for value in values] for k in range(3))
        return BertScores(precision, recall, f1, cut)

    @cached_property
    def longest(self) -> int:
        """How many tokens the model reads of a text, those at its ends included."""
        positions = self.model.config.max_position_embeddings
        embeddings = getattr(self.model.embeddings, "position_embeddings", None)
        padding = getattr(embeddings, "padding_idx", None)
        # RoBERTa's positions begin behind the padding's own.
        reached = positions if padding is None else positions - padding - 1
        # A tokenizer that knows no length says 10^30.
        return int(min(self.tokenizer.model_max_length, reached))

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        from transformers import GPT2Tokenizer, RobertaTokenizer

        # Byte-level vocabularies tell a first word from a later one by the blank before it.
        blank = " " if isinstance(self.tokenizer, GPT2Tokenizer | RobertaTokenizer) else ""
        stripped = [blank + text.strip() if text.strip() else "" for text in texts]
        if not stripped:
            return []
        found: list[list[int]] = self.tokenizer(
            stripped, truncation=True, max_length=self.longest, padding=False
        )["input_ids"]
        return found

    @cached_property
    def _ends(self) -> set[int]:
        return {self.tokenizer.cls_token_id, self.tokenizer.sep_token_id}

    def _content(self, text: Sequence[int]) -> bool:
        return any(token not in self._ends for token in text)

    def _compare(
        self,
        pairs: Sequence[tuple[list[int], list[int]]],
        weights: dict[int, float],
        default: float,
    ) -> list[tuple[float, float, float]]:
        import torch

        mine, my_mask, my_weights = self._embed([a for a, _ in pairs], weights, default)
        theirs, their_mask, their_weights = self._embed([b for _, b in pairs], weights, default)
        cosines = mine @ theirs.transpose(1, 2)
        cosines = cosines.masked_fill(~(my_mask[:, :, None] & their_mask[:, None, :]), -1.0)
        precision = (cosines.amax(dim=2) * my_weights).sum(dim=1)
        recall = (cosines.amax(dim=1) * their_weights).sum(dim=1)
        f1 = torch.nan_to_num(2 * precision * recall / (precision + recall))
        columns = torch.stack([precision, recall, f1], dim=1).clamp(0.0, 1.0)
        return [(p, r, f) for p, r, f in columns.tolist()]

    def _embed(
        self, texts: Sequence[list[int]], weights: dict[int, float], default: float
    ) -> tuple[Any, Any, Any]:
        """Return (texts, tokens, width) of length 1, the mask, and the weights, of sum 1 a text."""
        import torch

        longest = max(map(len, texts))
        padding = self.tokenizer.pad_token_id or 0
        ids = [text + [padding] * (longest - len(text)) for text in texts]
        mask = [[True] * len(text) + [False] * (longest - len(text)) for text in texts]
        weighed = [
            [0.0 if token in self._ends else weights.get(token, default) for token in text]
            + [0.0] * (longest - len(text))
            for text in texts
        ]
        mask_bl = torch.tensor(mask, device=self.device)
        weights_bl = torch.tensor(weighed, device=self.device)
        with torch.inference_mode():
            states_bld = self.model(
                torch.tensor(ids, device=self.device), attention_mask=mask_bl.long()
            )[0]
            unit_bld = torch.nn.functional.normalize(states_bld, dim=-1)
        total_b1 = weights_bl.sum(dim=1, keepdim=True)
        # With idf a text of words that all references have weighs nothing, and scores 0.
        return unit_bld, mask_bl, torch.nan_to_num(weights_bl / total_b1)


def _load_encoder(folder: Path) -> Any:
    import torch
    from transformers import AutoModel

    try:
        model = AutoModel.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, use_safetensors=True
        )
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: no model that can be loaded ({error})") from error
    if not hasattr(getattr(model, "encoder", None), "layer"):
        raise InputError(
            f"{folder}: {model.config.model_type} is no encoder such as BERT, which BERTScore wants"
        )
    return model


def _known_layer(folder: Path, layers: int) -> int:
    # The folder's own name, or that of the hub's cache: models--org--NAME/snapshots/COMMIT.
    for part in reversed(folder.absolute().parts):
        if part.split("--")[-1] in LAYERS:
            return LAYERS[part.split("--")[-1]]
    raise InputError(
        f"{folder}: BERTScore knows no layer for a model of this name; give one of 1 to {layers} "
        f"(9 of 12 for bert-base-multilingual-cased)"
    )


def _idf_weights(references: Sequence[Sequence[int]]) -> dict[int, float]:
    having = Counter(token for text in references for token in set(text))
    return {token: math.log((len(references) + 1) / (n + 1)) for token, n in having.items()}


def _batches(places: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (places[first : first + size] for first in range(0, len(places), size))
