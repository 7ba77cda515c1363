"""Counting keywords and the characters under them: medray's engines and other ways.

medray's own lists, their variants, match modes; from texts in an Arrow array to each document's
distinct keywords and covered characters. The peers get the first variants of the same lists as
Python strings, and find less by it; what each finds is told beside medray's.
"""

from __future__ import annotations

from functools import partial

import pyarrow as pa
from by_language import Work, compare_languages
from filter_peers import Scorer, alternation_scorer, count_scorer, published_scorer
from texts import SOURCE, corpus_texts, utf8_megabytes

from medray.corpus.medical.filter_config import DEFAULT_MATCH
from medray.corpus.medical.keywords import load_keywords
from medray.corpus.medical.matching.ladder import ENGINES, available, build_matcher
from medray.corpus.medical.matching.patterns import compile_patterns
from medray.languages import LANGUAGES

ENGINES_MB = 12.0  # as much as there is of each language; above it documents repeat
PEERS_MB = 0.5  # for what runs at some 10 MB/s


def score_all(scorer: Scorer, texts: list[str]) -> int:
    """Return the distinct keywords of all texts, summed."""
    return sum(scorer(text)[0] for text in texts)


def main() -> None:
    print(f"bench_matching: {SOURCE}, 200 keywords a language")
    engines = [engine for engine in ENGINES if engine != "reference" and available(engine)]
    fast, slow = {}, {}
    for code, language in LANGUAGES.items():
        keywords, texts = load_keywords(code), corpus_texts(code, ENGINES_MB)
        patterns = compile_patterns(keywords.variants, DEFAULT_MATCH[code], language.spaced)
        matchers = {engine: build_matcher(patterns, engine) for engine in engines}
        batch = pa.array(texts, pa.large_string())
        scan = matchers[engines[0]].scan(batch)
        megabytes = utf8_megabytes(texts)
        print(
            f"{code}: {megabytes:.1f} MB, {len(texts)} documents, match {DEFAULT_MATCH[code]}: "
            f"{scan.keyword_count.sum()} keywords, {scan.covered.sum()} characters under them"
        )
        scans = {f"medray {name}": partial(one.scan, batch) for name, one in matchers.items()}
        fast[code] = Work(scans, megabytes)
        few = corpus_texts(code, PEERS_MB)
        peers = {
            "published script's rule, plainly": published_scorer(keywords.words, language.spaced),
            "str.count x 200": count_scorer(keywords.words),
            "re alternation": alternation_scorer(keywords.words),
        }
        batch_of_few = pa.array(few, pa.large_string())
        contestants = {f"medray {engines[0]}": partial(matchers[engines[0]].scan, batch_of_few)}
        scores = {name: partial(score_all, scorer, few) for name, scorer in peers.items()}
        slow[code] = Work(contestants | scores, utf8_megabytes(few))
    compare_languages("medray's engines, which find the same", fast, rounds=5)
    compare_languages("the fastest engine and other ways", slow)


if __name__ == "__main__":
    main()
