"""Log-probabilities and embeddings of whole sequences: packed passes, a beginning computed once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from transformers import PreTrainedModel

from serving.attention import TreeLayout, use_layouts
from serving.engine import Alternatives, Score, ScoreJob
from serving.lora import Adapter, LoraModel, Rows, group_rows
from serving.packing import Places, Row, pack, passes
from serving.prefix import Prefix

# Tokens of one pass. On a CPU more do not make the matrix products faster: 2048 took 6 % longer
# than 512, of 64 questions; fewer would compute a beginning that many share more often.
PASS_TOKENS = {"cpu": 1024, "cuda": 8192}

# Memory for the logits of one step of the projection, in float32.
LOGITS_BYTES = 64 * 2**20

# Packed and direct passes differ by rounding: bfloat16 has 8 bits. A model that mixes neighbours in
# a row (a recurrent layer) is wrong by much more.
PACKED_ERROR = 0.05


@dataclass(frozen=True)
class EmbedJob:
    """A whole sequence (>= 1 token) whose mean last hidden state is wanted."""

    tokens: Sequence[int]


@dataclass(frozen=True)
class Work:
    """A job and the adapter that it goes through; None: the base."""

    job: ScoreJob | EmbedJob
    adapter: Adapter | None = None


Result = Score | list[float]


class Scorer:
    """Runs a causal language model over whole sequences, without a cache.

    ``packs``: the model can be given sequences in one row, as a tree. Otherwise they go through
    batches padded on the right, sorted by length. Every sequence stands behind ``prefix``;
    ``ValueError`` for one before a model that does not pack.
    """

    def __init__(
        self, model: PreTrainedModel, lora: LoraModel, prefix: Prefix | None = None
    ) -> None:
        self._model = model
        self._lora = lora
        self._base: Any = model.base_model
        self._head = model.get_output_embeddings()
        config = model.config.get_text_config()
        self._hidden_size: int = config.hidden_size
        self._vocabulary_size: int = config.vocab_size
        self._pass_tokens = PASS_TOKENS.get(model.device.type, PASS_TOKENS["cuda"])
        self.packs = False
        self._prefix: Prefix | None = None  # not while the model is tried out
        self.packs = self._can_pack()
        self._check_head()
        if prefix is not None and not self.packs:
            raise ValueError(f"{type(model).__name__} cannot be served behind a prefix")
        self._prefix = prefix

    def run(self, works: Sequence[Work]) -> list[Result]:
        """Return the result of each job; those that share a beginning and adapter share it."""
        results: list[Result | None] = [None] * len(works)
        sequences = [_needed(work.job) for work in works]
        adapters = [work.adapter for work in works]
        owners = [0 if adapter is None else id(adapter) for adapter in adapters]
        for chosen in self._passes(sequences, owners):
            hidden, places = self._hidden(
                [sequences[index] for index in chosen], [adapters[index] for index in chosen]
            )
            of_pass = [(works[index], places[number]) for number, index in enumerate(chosen)]
            for index, result in zip(chosen, self._read(hidden, of_pass), strict=True):
                results[index] = result
        return results  # type: ignore[return-value]

    # Passes

    def _passes(self, sequences: Sequence[Places], owners: Sequence[int]) -> Iterator[list[int]]:
        if self.packs:
            yield from passes(sequences, owners, self._pass_tokens)
            return
        chosen: list[int] = []
        for index in sorted(range(len(sequences)), key=lambda i: -len(sequences[i])):
            # Longest first, so the first row of a batch gives its padded length.
            if chosen and (len(chosen) + 1) * len(sequences[chosen[0]]) > self._pass_tokens:
                yield chosen
                chosen = []
            chosen.append(index)
        if chosen:
            yield chosen

    @torch.inference_mode()
    def _hidden(
        self, sequences: Sequence[Places], adapters: Sequence[Adapter | None]
    ) -> tuple[torch.Tensor, list[Places]]:
        """Return last hidden states [rows, hidden size] and the rows of each sequence's tokens."""
        device = self._model.device
        owners = [0 if adapter is None else id(adapter) for adapter in adapters]
        if self.packs:
            row = pack(sequences, owners)
            first = 0 if self._prefix is None else self._prefix.tokens
            places, length = row.places, len(row.tokens)
            arguments = {
                "input_ids": torch.from_numpy(row.tokens)[None].to(device),
                "position_ids": torch.from_numpy(row.positions + first)[None].to(device),
                "layout": self._layout(row),
            }
        else:
            longest = max(map(len, sequences))
            tokens = numpy.zeros((len(sequences), longest), numpy.int64)
            mask = numpy.zeros_like(tokens)
            for number, sequence in enumerate(sequences):
                tokens[number, : len(sequence)] = sequence
                mask[number, : len(sequence)] = 1
            places = [
                number * longest + numpy.arange(len(sequence))
                for number, sequence in enumerate(sequences)
            ]
            length = tokens.size
            arguments = {
                "input_ids": torch.from_numpy(tokens).to(device),
                "attention_mask": torch.from_numpy(mask).to(device),
            }
        with self._lora.using(self._rows(adapters, places, length)):
            states = self._base(use_cache=False, **arguments).last_hidden_state
        return states.reshape(-1, states.shape[-1]), places

    def _layout(self, row: Row) -> TreeLayout:
        return TreeLayout(
            row, self._model.device, self._model.dtype, self._hidden_size, self._prefix
        )

    def _rows(
        self, adapters: Sequence[Adapter | None], places: Sequence[Places], length: int
    ) -> Rows | None:
        if not any(adapters):
            return None
        of_row: list[Adapter | None] = [None] * length
        for adapter, where in zip(adapters, places, strict=True):
            for place in where:
                of_row[place] = adapter
        return Rows(group_rows(of_row, self._model.device))

    # Reading results

    @torch.inference_mode()
    def _read(self, hidden: torch.Tensor, works: Sequence[tuple[Work, Places]]) -> list[Result]:
        scored = [
            (work.job, work.adapter, places)
            for work, places in works
            if isinstance(work.job, ScoreJob)
        ]
        scores = iter(self._scores(hidden, scored) if scored else ())
        return [
            next(scores)
            if isinstance(work.job, ScoreJob)
            else hidden[torch.from_numpy(places).to(hidden.device)].float().mean(0).tolist()
            for work, places in works
        ]

    def _scores(
        self, hidden: torch.Tensor, works: Sequence[tuple[ScoreJob, Adapter | None, Places]]
    ) -> list[Score]:
        """Project to the vocabulary only where a log-probability is wanted, each place once."""
        jobs = [job for job, _, _ in works]
        # After each of these places a token's log-probability is wanted, or what may follow.
        spans = [
            slice(max(job.first - 1, 0), len(job.tokens) - (not job.following)) for job in jobs
        ]
        rows = [places[span] for (_, _, places), span in zip(works, spans, strict=True)]
        nexts = [
            numpy.append(job.tokens, -1)[span.start + 1 : span.stop + 1]
            for job, span in zip(jobs, spans, strict=True)
        ]
        wanted, of_wanted = numpy.unique(numpy.concatenate(rows), return_inverse=True)
        adapters: list[Adapter | None] = [None] * len(wanted)
        if any(adapter for _, adapter, _ in works):
            for (_, adapter, _), own in zip(works, rows, strict=True):
                for place in numpy.searchsorted(wanted, own):
                    adapters[place] = adapter
        logprobs, alternatives = self._project(
            hidden[torch.from_numpy(wanted).to(hidden.device)],
            adapters,
            of_wanted,
            numpy.concatenate(nexts),
            max(job.top for job in jobs),
        )
        scores, done = [], 0
        for job, own in zip(jobs, rows, strict=True):
            here = slice(done, done := done + len(own))
            best = [alternatives[place][: job.top] for place in of_wanted[here]]
            scores.append(_score(job, logprobs[here], best))
        return scores

    def _project(
        self,
        hidden: torch.Tensor,
        adapters: Sequence[Adapter | None],
        places: Places,
        tokens: Places,
        top: int,
    ) -> tuple[list[float], list[Alternatives]]:
        """Return the log-probability of ``tokens[i]`` after ``hidden[places[i]]``, and the best.

        A token of -1 gets a number without meaning. The alternatives are one list for each row of
        ``hidden`` [rows, hidden size].
        """
        logprobs = numpy.empty(len(places), numpy.float32)
        alternatives: list[Alternatives] = []
        step = max(1, LOGITS_BYTES // (4 * self._vocabulary_size))
        for first in range(0, len(hidden), step):
            part = hidden[first : first + step]
            own = adapters[first : first + step]
            lora = Rows([], group_rows(own, hidden.device)) if any(own) else None
            with self._lora.using(lora):
                logits = self._logits(part)
            totals = logits.logsumexp(-1)
            best = logits.topk(top) if top > 1 else logits.max(-1, keepdim=True)
            values = (best[0] - totals[:, None]).tolist()
            alternatives += [
                list(zip(ids, row, strict=True))
                for ids, row in zip(best[1].tolist(), values, strict=True)
            ]
            mine = numpy.flatnonzero((places >= first) & (places < first + step))
            at = torch.from_numpy(places[mine] - first).to(hidden.device)
            chosen = logits[at, torch.from_numpy(tokens[mine]).to(hidden.device)] - totals[at]
            logprobs[mine] = chosen.cpu().numpy()
        return logprobs.tolist(), alternatives

    # What a model can do

    def _can_pack(self) -> bool:
        """Say whether packed sequences get the hidden states that they get alone; tried out."""
        size = min(self._vocabulary_size, 1000)
        probes = [numpy.array(t) % size for t in ([7, 8, 9, 10], [7, 8, 11], [5, 7, 8])]
        alone = [self._hidden([probe], [None])[0] for probe in probes]
        implementation = self._model.config._attn_implementation
        if not use_layouts(self._model):
            return False
        self.packs = True
        try:
            hidden, places = self._hidden(probes, [None] * len(probes))
        except (ValueError, TypeError):  # its forward takes no layout, or attends in an own way
            close = False
        else:
            packed = torch.cat([hidden[where] for where in places]).float()
            direct = torch.cat(alone).float()
            close = bool((packed - direct).norm() <= PACKED_ERROR * direct.norm())
        if not close:
            self._model.set_attn_implementation(implementation)
        return close

    @torch.inference_mode()
    def _check_head(self) -> None:
        """``ValueError`` for a model whose logits are something else than its head's output."""
        probe = numpy.array([1, 2, 3])
        hidden, _ = self._hidden([probe], [None])
        arguments: dict[str, Any] = {}
        if self.packs:
            arguments["layout"] = self._layout(pack([probe], [0]))
        tokens = torch.from_numpy(probe)[None].to(hidden.device)
        logits = self._model(input_ids=tokens, use_cache=False, **arguments).logits[0].float()
        if not torch.allclose(self._logits(hidden), logits, rtol=PACKED_ERROR, atol=PACKED_ERROR):
            raise ValueError(f"{type(self._model).__name__} changes its logits in an unknown way")

    def _logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return logits [rows, vocabulary] in float32, as the model itself ends its forward."""
        logits = self._head(hidden).float()
        config = self._model.config.get_text_config()
        logits *= getattr(config, "logit_scale", None) or 1.0  # Cohere
        logits /= getattr(config, "logits_scaling", None) or 1.0  # Granite
        cap = getattr(config, "final_logit_softcapping", None)  # Gemma
        return logits if cap is None else cap * torch.tanh(logits / cap)


def _needed(job: ScoreJob | EmbedJob) -> Places:
    """Return the tokens that have to be computed: not the last one, where nothing follows it."""
    tokens = numpy.asarray(job.tokens, numpy.int64)
    skipped = isinstance(job, ScoreJob) and not job.following and len(tokens) > 1
    return tokens[:-1] if skipped else tokens


def _score(job: ScoreJob, logprobs: list[float], best: list[Alternatives]) -> Score:
    following: Alternatives = []
    if job.following:
        following, best, logprobs = best[-1], best[:-1], logprobs[:-1]
    before = [None] if job.first == 0 else []
    return Score([*before, *logprobs], [*before, *best], following, job.first)
