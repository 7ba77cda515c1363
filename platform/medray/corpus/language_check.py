"""The language check: is a text in the language of the input that it came with?

Detector: py3langid's model (BSD, 139 languages, comes in its wheel). Measured on 25,492 real
documents of six languages, share of the medical ones whose language was not seen and CPU speed:
- this model as it is run here, on 1000 bytes: 0.01 %, 25 MB/s of sample on Latin letters, 33 on
  others; in py3langid's own loop it gives the same verdicts at 2 to 5 MB/s;
- pycld2 0.42, first 2000 characters: 0.2 %, of Spanish 0.7 %; 27 to 53 MB/s; it refuses texts
  with control characters;
- lingua 2.1, low accuracy mode, first 500 characters: no error on 900 of them; 0.3 MB/s on Latin
  letters.
py3langid had a part in choosing those documents, so it is flattered; but those verdicts of pycld2
that were read were wrong. There is no second guard by script, for there is little left to catch:
of whole documents given as another of the six languages less than 0.06 % pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from unicodedata import normalize

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit
from py3langid.langid import MODEL_FILE, LanguageIdentifier
from pydantic import Field

from medray.corpus.dedup.words import Offsets, utf8_of
from medray.corpus.steps import Judged
from medray.recipe import Config

# Three stretches, so that a page's menu or an abstract in English does not speak for the whole.
STRETCHES = 3
# Labels that count as the language itself. Written Wu and Cantonese share Mandarin's letters and
# most words: 0.6 % of the real zh documents get one of these labels, mostly traditional Chinese.
SAME_LANGUAGE = {"zh": ("zh", "wuu", "yue")}
# Rows of the confidence matrix that are held at once: 142 float32 a row, so 2.3 MB.
_BLOCK_ROWS = 4096

# Samples that are walked through the automaton side by side; 8 gain 5 % more.
LANES = 4

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


class LanguageCheckConfig(Config):
    """How sure the detector must be, and how much of a text it reads."""

    minimum_confidence: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="least confidence that the text is in its input's language; 0: all pass",
    )
    sample_bytes: int = Field(
        default=1000,
        ge=60,
        le=1_000_000,
        description="bytes of UTF-8 that are read of each text: its start, middle and end",
    )


class LanguageCheck:
    """Step: drops texts that are not in the language of their input.

    ``language_confidence`` is the confidence in the input's language, 0 to 1, which alone decides;
    ``detected_language`` is the detector's first choice among 139 (ISO 639 code; zxx: no language).
    """

    name = "language"
    reasons = ("language",)

    def __init__(self, config: LanguageCheckConfig) -> None:
        self._config = config

    def __call__(self, texts: pa.StringArray, language: str) -> Judged:
        labels, confidences = detect(sample(texts, self._config.sample_bytes), language)
        return Judged(
            reasons=language_reasons(confidences, self._config),
            scores={
                "detected_language": labels,
                "language_confidence": pa.array(confidences, pa.float32()),
            },
        )


def language_reasons(confidences: Floats, config: LanguageCheckConfig) -> pa.StringArray:
    """Return the reason of each text from its confidence alone, null where it stays."""
    stays = confidences >= np.float32(config.minimum_confidence)
    reasons = np.full(len(confidences), LanguageCheck.reasons[0], object)
    return pa.array(reasons, pa.string(), mask=stays)


def sample(texts: pa.StringArray, size_bytes: int) -> pa.StringArray:
    """Return each text, or where it is longer stretches of it of ``size_bytes`` together.

    The stretches are the start, the middle and the end, cut between characters, one a line. As
    py3langid does, a text without small letters is put in small letters, and all is NFC.
    """
    data, offsets = utf8_of(texts)
    sampled, sampled_offsets = _sample(data, offsets, size_bytes, STRETCHES)
    cut = pa.StringArray.from_buffers(
        len(texts), pa.py_buffer(sampled_offsets.astype(np.int32)), pa.py_buffer(sampled)
    )
    # Python's own folding, since the detector is defined by it; 200 MB/s on samples.
    folded = [normalize("NFC", t.lower() if t.isupper() else t) for t in cut.to_pylist()]
    return pa.array(folded, pa.string())


def detect(samples: pa.StringArray, language: str) -> tuple[pa.StringArray, Floats]:
    """Return the likeliest label of each sample, and the confidence in ``language``, 0 to 1.

    Both as py3langid gives them with ``norm_probs``: naive Bayes over byte n-grams (Lui & Baldwin
    2012), scores divided by the square root of the length in bytes, then softmax.
    """
    model = _load_model()
    own = [model.labels.index(label) for label in SAME_LANGUAGE.get(language, (language,))]
    best: list[str] = []
    confidences = np.empty(len(samples), np.float32)
    for start in range(0, len(samples), _BLOCK_ROWS):
        rows = model.confidences(samples[start : start + _BLOCK_ROWS])
        best += [model.labels[label] for label in rows.argmax(axis=1)]
        confidences[start : start + len(rows)] = np.minimum(rows[:, own].sum(axis=1), 1)
    return pa.array(best, pa.string()), confidences


@dataclass(frozen=True)
class _Model:
    """py3langid's model as arrays: an automaton over bytes, and a weight per feature and label."""

    states: npt.NDArray[np.int32]  # by state: its row of moves times 256, and its feature or -1
    moves: npt.NDArray[np.uint32]
    weights: Floats  # features x labels
    priors: Floats
    labels: list[str]
    same_label: list[tuple[int, int]]  # labels that stand twice: (first, second)

    def confidences(self, samples: pa.StringArray) -> Floats:
        """Return samples x labels: how likely each label is; a row sums to 1."""
        data, offsets = utf8_of(samples)
        scores = np.zeros((len(samples), len(self.labels)), np.float32)
        _score(data, offsets, self.states, self.moves, self.weights, self.priors, scores)
        length_bytes = np.maximum(np.diff(offsets), 1)
        scores /= np.sqrt(length_bytes).astype(np.float32)[:, None]
        scores -= scores.max(axis=1, keepdims=True, initial=-np.inf)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        for first, second in self.same_label:
            scores[:, first] += scores[:, second]
            scores[:, second] = 0
        return scores


@cache
def _load_model() -> _Model:
    """Read the model from py3langid's wheel: 0.7 s and 100 MB, once in a process."""
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    labels = list(identifier.nb_classes)
    rows = np.asarray(identifier.tk_row, np.int32) << 8
    repeated = [(labels.index(label), place) for place, label in enumerate(labels)]
    return _Model(
        states=np.column_stack((rows, np.asarray(identifier.tk_output, np.int32))),
        moves=np.asarray(identifier.tk_nextmove, np.uint32),
        weights=np.ascontiguousarray(identifier.nb_ptc, np.float32),
        priors=np.asarray(identifier.nb_pc, np.float32),
        labels=labels,
        same_label=[(first, place) for first, place in repeated if first != place],
    )


@njit(cache=True, nogil=True)
def _sample_size(offsets: Offsets, size_bytes: int, stretches: int) -> int:
    size = 0
    for number in range(len(offsets) - 1):
        size += min(offsets[number + 1] - offsets[number], size_bytes + stretches)
    return size


@njit(cache=True, nogil=True)
def _sample(
    data: Bytes, offsets: Offsets, size_bytes: int, stretches: int
) -> tuple[Bytes, Offsets]:
    out = np.empty(_sample_size(offsets, size_bytes, stretches), np.uint8)
    out_offsets = np.zeros(len(offsets), np.int64)
    filled = 0
    for number in range(len(offsets) - 1):
        start, end = offsets[number], offsets[number + 1]
        count, each = 1, end - start
        if each > size_bytes:
            count, each = stretches, size_bytes // stretches
        for stretch in range(count):
            if stretch > 0:
                out[filled] = 10  # a line's end, so that no word is made of two stretches
                filled += 1
            first = start + stretch * ((end - start - each) // max(count - 1, 1))
            last = first + each
            while first < last and data[first] & 0xC0 == 0x80:  # inside a character
                first += 1
            while first < last < end and data[last] & 0xC0 == 0x80:
                last -= 1
            out[filled : filled + last - first] = data[first:last]
            filled += last - first
        out_offsets[number + 1] = filled
    return out[:filled], out_offsets


@njit(cache=True, nogil=True)
def _score(
    data: Bytes,
    offsets: Offsets,
    states: npt.NDArray[np.int32],
    moves: npt.NDArray[np.uint32],
    weights: Floats,
    priors: Floats,
    scores: Floats,
) -> None:
    """Fill samples x labels with prior + sum of log(1 + count) x weight; no feature: all 0."""
    longest = 0
    for number in range(len(offsets) - 1):
        longest = max(longest, offsets[number + 1] - offsets[number])
    met = np.empty((LANES, longest), np.int32)
    counts = np.zeros(len(weights), np.int32)
    for first in range(0, len(offsets) - 1, LANES):
        lanes = offsets[first : first + LANES + 1]
        features = _walk(data, lanes, states, moves, met)
        for lane in range(len(lanes) - 1):
            row, here = scores[first + lane], met[lane, : features[lane]]
            if len(here) > 0:
                row[:] = priors
            for feature in here:
                counts[feature] += 1
            for feature in here:
                if counts[feature] == 0:
                    continue
                times = np.float32(np.log1p(np.float32(counts[feature])))
                counts[feature] = 0
                for label in range(len(row)):  # row += times * weights would make a new array
                    row[label] += times * weights[feature, label]


@njit(cache=True, nogil=True)
def _walk(
    data: Bytes,
    offsets: Offsets,
    states: npt.NDArray[np.int32],
    moves: npt.NDArray[np.uint32],
    met: npt.NDArray[np.int32],
) -> npt.NDArray[np.int64]:
    """Send up to LANES samples through the automaton; return how many features each met.

    Each step waits for the memory that the last one asked for (the moves take 39 MB); side by side
    the waits overlap: 130 MB/s against 40.
    """
    lanes, longest = len(offsets) - 1, 0
    state, features = np.zeros(LANES, np.uint32), np.zeros(LANES, np.int64)
    for lane in range(lanes):
        longest = max(longest, offsets[lane + 1] - offsets[lane])
    for step in range(longest):
        for lane in range(lanes):
            place = offsets[lane] + step
            if place < offsets[lane + 1]:
                state[lane] = moves[states[state[lane], 0] + data[place]]
                feature = states[state[lane], 1]
                if feature >= 0:
                    met[lane, features[lane]] = feature
                    features[lane] += 1
    return features
