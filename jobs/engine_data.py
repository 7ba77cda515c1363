"""Asking a model over Ray Data: engine replicas as its actors, no HTTP; for very large sets."""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from medray.evaluation.client import Client, EndpointAddress, EndpointError
from medray.evaluation.running.asking import Keep, OnDone, Sender, answer_of
from medray.evaluation.running.plan import Ask
from medray.evaluation.running.settings import RunSettings
from medray.runtime import RayRuntime
from serving.config import ServingConfig

# Asks of one call of an actor: enough to fill its batch while others end, few enough that a killed
# run loses little and that replicas finish together.
ASKS_OF_A_CALL = 64


class EngineReplica:
    """One copy of the model in an actor of Ray Data; its API is asked inside the process."""

    def __init__(self, config: ServingConfig, settings: RunSettings) -> None:
        from serving.api import create_api
        from serving.engines import load_engine
        from serving.loop_thread import LoopThread
        from serving.service import Service

        self._engine = load_engine(config)
        self._transport = httpx.ASGITransport(app=create_api(Service.of(self._engine, config)))
        self._address = EndpointAddress("http://engine/v1", config.model_name, "")
        self._settings = settings
        # One loop for all calls: the engine's tasks and the client's connections belong to it.
        self._loop = LoopThread("asks")

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[str]]:
        """Answer a batch of pickled asks: their keys, and answers or refusals as JSON."""
        asks = [pickle.loads(ask) for ask in batch["ask"]]  # noqa: S301 - made by ``over_ray_data``
        answers = self._loop.start(self._answers(asks)).result()
        return {"key": [ask.key for ask in asks], "answer": [json.dumps(a) for a in answers]}

    async def _answers(self, asks: Sequence[Ask]) -> list[dict[str, Any]]:
        settings = self._settings
        async with Client(
            self._address, settings.concurrency, settings.timeout_s, transport=self._transport
        ) as client:
            return await asyncio.gather(*(self._answer(client, ask) for ask in asks))

    async def _answer(self, client: Client, ask: Ask) -> dict[str, Any]:
        try:
            return await answer_of(client, ask, self._settings.chat)
        except EndpointError as error:
            if not error.of_content:
                raise
            return {"refused": str(error)}


def over_ray_data(
    config: ServingConfig, settings: RunSettings, ray: RayRuntime, replicas: int
) -> Sender:
    """Return what asks ``replicas`` copies of a model; an actor that dies is started again.

    Answers come to this process as blocks end, in any order. Of ``settings``, limits of an endpoint
    are not kept: there is none.
    """

    def asks_it(
        pending: Sequence[Ask], keep: Keep, patience: int, on_done: OnDone
    ) -> dict[str, str]:
        import ray.data

        rows = [{"ask": pickle.dumps(ask)} for ask in pending]
        blocks = max(1, -(-len(rows) // ASKS_OF_A_CALL))
        answered = ray.data.from_items(rows, override_num_blocks=blocks).map_batches(
            EngineReplica,
            fn_constructor_args=(config, settings),
            batch_size=ASKS_OF_A_CALL,
            concurrency=replicas,
            num_cpus=config.num_cpus,
            num_gpus=config.num_gpus,
        )
        refused: dict[str, str] = {}
        kept = 0
        for done, row in enumerate(answered.iter_rows(), start=1):
            answer = json.loads(row["answer"])
            if "refused" in answer:
                refused[row["key"]] = answer["refused"]
                if not kept and len(refused) == patience:
                    raise EndpointError(answer["refused"])
            else:
                kept += 1
                keep(row["key"], answer)
            on_done(done, len(rows))
        return refused

    ray.need_cpus(replicas * config.num_cpus, "--replicas")
    ray.connect()
    return asks_it
