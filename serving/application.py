"""The Ray Serve application of one model: a replica's inside, and how Serve is to run it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve import context as serve_context
from ray.serve.config import AutoscalingConfig, BackpressureConfig, RequestRouterConfig
from starlette.middleware import Middleware

from serving.api import create_api
from serving.config import ServingConfig
from serving.engine import Engine, EngineStoppedError
from serving.engines import load_engine
from serving.folders import check_folders
from serving.guard.body import BodyLimit
from serving.guard.gate import Gate, ServeAccounts
from serving.guard.keys import Keys, gather_keys
from serving.guard.ledger import Accounts
from serving.guard.metering import MeteredEngine
from serving.guard.record import AccessLog
from serving.service import Service

DEPLOYMENT = "model"
ACCOUNTS = "accounts"

# What a client that met a full queue is told to wait.
RETRY_AFTER_S = 1.0
# Serve's own 10 s would leave requests waiting that long for the successor of a lost replica.
HEALTH_CHECK_PERIOD_S = 2.0
# A key's request is no longer under way so long after its time is over, whatever became of it.
LEASE_GRACE_S = 60.0
CONSISTENT_HASH = "ray.serve.experimental.consistent_hash_router.ConsistentHashRouter"


class Replica:
    """One copy of the model in one Ray actor; Ray Serve sends it HTTP requests."""

    def __init__(self, config: ServingConfig, keys: Keys | None, accounts: Any = None) -> None:
        self._engine: Engine = MeteredEngine(load_engine(config), config.model_name)
        self._service = Service.of(self._engine, config)
        replica = serve.get_replica_context()
        log = AccessLog.of_serve(
            replica.replica_id.unique_id, by="replica", replica=replica.replica_id.unique_id
        )
        self._gate = Middleware(
            Gate,
            keys=keys,
            body_limit=BodyLimit(config.max_body_bytes, config.body_timeout_s),
            accounts=None if accounts is None else ServeAccounts(accounts),
            log=log,
        )

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Called by Ray Serve after the constructor."""
        return create_api(self._service, [self._gate])

    def check_health(self) -> None:
        """Called by Ray Serve every 2 s; a replica that raises is replaced."""
        if not self._engine.healthy():
            raise EngineStoppedError("the generation loop has ended")

    def __del__(self) -> None:
        """Called by Ray Serve when the replica is taken down."""
        self._engine.close()


def build(arguments: dict[str, Any]) -> serve.Application:
    """Return the application of a Serve config file's ``args``, the fields of ``ServingConfig``.

    Runs on the cluster. Keys are demanded by the address that Serve really listens on: of the
    arguments, ``host``, ``port`` and ``route_prefix`` say nothing here. Raises as
    ``build_application`` does, and ``ValidationError``.
    """
    config = ServingConfig.model_validate(arguments)
    options = running_http_options()
    if options is not None:
        config = config.model_copy(update={"host": options.host or config.host})
    return build_application(config)


def build_application(config: ServingConfig) -> serve.Application:
    """Return the Serve application of ``config``, for ``serve.run`` or a Serve config file.

    Reads the API key of the environment that calls it. Raises ``ValueError`` when the endpoint
    would listen beyond loopback without a key or its keys file is wrong, ``FileNotFoundError`` when
    a folder is no model.
    """
    keys = gather_keys(config.host, config.api_key_environment, config.keys_file)
    check_folders(config)
    # A replica has another working directory.
    folders: dict[str, Any] = {
        "model": config.model.absolute(),
        "adapter": config.adapter and config.adapter.absolute(),
    }
    if config.adapters is not None and "://" not in config.adapters:
        folders["adapters"] = str(Path(config.adapters).absolute())
    accounts = None
    if keys is not None and keys.quotas:
        accounts = _accounts(keys, config.request_timeout_s + LEASE_GRACE_S)
    return _deployment(config).bind(config.model_copy(update=folders), keys, accounts)


def _deployment(config: ServingConfig) -> serve.Deployment:
    autoscaling = AutoscalingConfig(
        min_replicas=config.autoscaling.min_replicas,
        max_replicas=config.autoscaling.max_replicas,
        target_ongoing_requests=config.autoscaling.target_ongoing_requests,
        upscale_delay_s=config.autoscaling.upscale_delay_s,
        downscale_delay_s=config.autoscaling.downscale_delay_s,
        downscale_to_zero_delay_s=config.autoscaling.downscale_to_zero_delay_s,
    )
    router = RequestRouterConfig()
    if config.session_affinity:
        router = RequestRouterConfig(request_router_class=CONSISTENT_HASH)
    return serve.deployment(
        name=DEPLOYMENT,
        autoscaling_config=autoscaling,
        max_ongoing_requests=config.max_ongoing_requests,
        max_queued_requests=config.max_queued_requests,
        backpressure_config=BackpressureConfig(status_code=503, retry_after_s=RETRY_AFTER_S),
        request_router_config=router,
        health_check_period_s=HEALTH_CHECK_PERIOD_S,
        graceful_shutdown_timeout_s=config.drain_timeout_s,
        graceful_shutdown_wait_loop_s=min(1.0, config.drain_timeout_s),
        ray_actor_options={"num_cpus": config.num_cpus, "num_gpus": config.num_gpus},
    )(serve.ingress()(Replica))


def _accounts(keys: Keys, lease_s: float) -> serve.Application:
    """Return the deployment that counts, once for all replicas, and only where keys have quotas."""
    deployment = serve.deployment(
        name=ACCOUNTS, max_ongoing_requests=10_000, ray_actor_options={"num_cpus": 0}
    )
    return deployment(Accounts).bind(keys.quotas, lease_s)


def running_http_options() -> Any:
    """Return the HTTPOptions of the cluster's proxy, or None. Serve has no public way to ask."""
    client = serve_context._get_global_client(raise_if_no_controller_running=False)
    return None if client is None else client.http_config
