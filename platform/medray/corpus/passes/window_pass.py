"""The last passes: a tokenizer for the corpus, and the corpus as windows of its tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from medray.corpus.passes.walker import Pass, Walker
from medray.corpus.tokens.engines import HUGGING_FACE, load_engine
from medray.corpus.tokens.gate import GateResult, choose_engine
from medray.corpus.tokens.sample import TextShard, gate_texts, training_texts
from medray.corpus.tokens.tokenizer import TokenizerConfig, load_tokenizer, train_tokenizer
from medray.corpus.tokens.windows import WindowConfig, window_outputs
from medray.storage.location import Location
from medray.storage.parquet_shards import open_parquet, read_batches
from medray.storage.scratch import temporary_folder
from medray.storage.shards import Receipt, Shard, ShardOutput

COMPLETE = "complete"


def make_tokenizer(
    walker: Walker,
    screened: Pass,
    texts: Sequence[TextShard],
    config: TokenizerConfig,
    folder: Path | None,
    inputs: Mapping[str, str],
) -> tuple[Pass, GateResult]:
    """Train the tokenizer, or take the one in ``folder``; choose the engine that runs it.

    ``texts``: the tables ``documents`` of the screening. ``inputs``: the identities of the
    folder's files. A tokenizer that a broken run finished is kept.
    """
    context, wanted = walker.context, {"vocabulary_size", "sample_characters"}
    trained = config.model_dump(mode="json", include=wanted) if folder is None else {}
    identity = {"trained": trained, "seed": context.seed, "inputs": dict(inputs)}
    with walker.begin("tokenizer", identity, after=screened) as one:
        if not (one.folder / COMPLETE).is_file():
            context.log.event("tokenizer: " + ("training" if folder is None else f"from {folder}"))
            _write_tokenizer(one.folder, texts, config, folder, context.seed)
        if config.engine == "huggingface":
            return one, GateResult(HUGGING_FACE, {}, None)
        tokenizer = load_tokenizer(one.folder.local_copy())
        samples = gate_texts(texts, config.gate_documents, context.seed)
        return one, choose_engine(tokenizer, samples)


def _write_tokenizer(
    target: Location,
    texts: Sequence[TextShard],
    config: TokenizerConfig,
    folder: Path | None,
    seed: int,
) -> None:
    if folder is None:
        drawn = training_texts(texts, config.sample_characters, seed)
        tokenizer = train_tokenizer(drawn, config.vocabulary_size)
    else:
        tokenizer = load_tokenizer(folder)
    with temporary_folder() as made:
        tokenizer.save_pretrained(made)
        target.upload(made)
    (target / COMPLETE).write_bytes(b"")


def cut_windows(
    walker: Walker,
    shards: Sequence[Shard],
    concluded: Pass,
    tokenizer: Pass,
    engine: str,
    config: WindowConfig,
) -> tuple[Pass, list[Receipt]]:
    """Cut the documents of the corpus; ``shards``: the tables ``documents`` of the screening."""
    # Of the decisions windows need the copies alone, so another audit cuts no new ones.
    copies = {key: concluded.identity[key] for key in ("balance", "seed", "after")}
    identity = {"config": config.model_dump(mode="json"), "copies": copies}
    with walker.begin("windows", identity, after=tokenizer) as one:
        work = partial(
            window_shard,
            concluded=concluded,
            tokenizer=tokenizer.folder,
            engine=engine,
            config=config,
        )
        return one, walker.walk(one, shards, work)


def window_shard(
    shard: Shard, concluded: Pass, tokenizer: Location, engine: str, config: WindowConfig
) -> Iterator[ShardOutput]:
    """Yield pieces of the table ``windows`` of one table of documents, each in its copies."""
    encoder = load_engine(str(tokenizer.local_copy()), engine)
    documents = _in_copies(shard, concluded.table("decisions", shard.shard_id))
    yield from window_outputs(documents, encoder, config, shard.language)


def _in_copies(shard: Shard, decisions: Location) -> Iterator[pa.Table]:
    """Yield the shard's documents as often as the corpus has them: none, once or repeatedly."""
    with open_parquet(decisions) as parquet:
        decided = parquet.read(columns=["document_id", "copies"])
    decided = decided.filter(pc.greater(decided["copies"], 0)).combine_chunks()
    most = pc.max(decided["copies"]).as_py() or 0
    for number in range(most):
        wanted = decided.filter(pc.greater(decided["copies"], number))["document_id"]
        ids = wanted.combine_chunks()
        for batch in read_batches(shard, ("document_id", "text")):
            chosen = batch.filter(pc.is_in(batch["document_id"], value_set=ids))
            if number == 0 or chosen.num_rows:
                yield chosen
