"""What an endpoint serves, where it listens, and how large it may grow."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

# transformers' own page size; a cache block holds this many tokens of one request.
CACHE_BLOCK_TOKENS = 256


class Autoscaling(BaseModel):
    """How many replicas Ray Serve keeps, and how fast it changes their number."""

    model_config = ConfigDict(extra="forbid")

    min_replicas: int = Field(
        default=1, ge=0, description="replicas kept when idle; 0 frees everything"
    )
    max_replicas: int = Field(default=1, ge=1, description="replicas at most")
    target_ongoing_requests: float = Field(
        default=32.0, gt=0, description="requests in flight per replica that the autoscaler aims at"
    )
    upscale_delay_s: float = Field(
        default=10.0, ge=0, description="seconds of overload before growing"
    )
    downscale_delay_s: float = Field(
        default=600.0, ge=0, description="seconds of idleness before shrinking"
    )
    downscale_to_zero_delay_s: float | None = Field(
        default=None,
        ge=0,
        description="seconds of idleness before the last replica leaves; default: as the others",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(
                f"min_replicas {self.min_replicas} is larger than max_replicas {self.max_replicas}"
            )
        return self


class ServingConfig(BaseModel):
    """One served model. Secrets are not part of it: only the name of the variable that holds them.

    Raises ``pydantic.ValidationError`` on an unknown key, on a cache too small for one request, and
    on numbers that contradict each other.
    """

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model: Path = Field(
        description="folder of a Hugging Face model: config, safetensors, tokenizer"
    )
    adapter: Path | None = Field(
        default=None,
        description="folder of a peft LoRA, merged into the weights, or of a P-Tuning v2 prefix, "
        "which stands before every prompt",
    )
    adapters: str | None = Field(
        default=None,
        description="folder, here or in an object store, of LoRA folders; each is asked for as the "
        "model MODEL_NAME:FOLDER, and loaded when it is",
    )
    loaded_adapters: int = Field(
        default=8, ge=1, description="adapters in memory at once; the least recently used leaves"
    )
    max_adapter_rank: int = Field(
        default=64,
        ge=1,
        le=512,
        description="largest rank of an adapter that the engine vllm keeps room for; the engine "
        "transformers takes any",
    )
    model_name: str = Field(
        default="", description="id that clients ask for; default: the folder's name"
    )

    engine: Literal["auto", "transformers", "vllm"] = Field(
        default="auto", description="what runs the model; auto: vllm where it imports"
    )

    host: str = Field(
        default="127.0.0.1", description="address to listen on; not loopback: a key is needed"
    )
    port: int = Field(
        default=8000, ge=0, le=65535, description="port to listen on; 0 takes a free one"
    )
    route_prefix: str = Field(
        default="/",
        pattern=r"^/([\w.-]+(/[\w.-]+)*)?$",
        description="path that stands before /v1 and /health",
    )
    api_key_environment: str = Field(
        default="MEDRAY_API_KEY",
        description="environment variable that holds the key clients must send",
    )
    keys_file: Path | None = Field(
        default=None,
        description="YAML file of more keys: names, salted hashes, quotas; `medray serve "
        "--new-key NAME` prints an entry",
    )

    dtype: Literal["float32", "bfloat16", "auto"] = Field(
        default="auto", description="weights' type; auto: as the model's config says"
    )
    max_prompt_tokens: int = Field(default=2048, ge=1, description="longest prompt taken")
    max_output_tokens: int = Field(
        default=1024, ge=1, description="most tokens one request may generate"
    )
    num_blocks: int = Field(
        default=64,
        ge=1,
        description=f"blocks of the key-value cache, {CACHE_BLOCK_TOKENS} tokens each",
    )
    max_batch_tokens: int = Field(
        default=256, ge=1, description="tokens of one forward pass, all requests"
    )

    num_cpus: float = Field(default=1.0, ge=0, description="CPUs of one replica")
    num_gpus: float = Field(default=0.0, ge=0, description="GPUs of one replica; 0 runs on the CPU")
    autoscaling: Autoscaling = Field(default_factory=Autoscaling, description="number of replicas")
    max_ongoing_requests: int = Field(
        default=64,
        ge=1,
        description="requests one replica works on at once (Ray Serve's own default is 5)",
    )
    max_queued_requests: int = Field(
        default=256,
        ge=1,
        description="requests that wait; one more is answered 503 with Retry-After",
    )
    request_timeout_s: float = Field(
        default=600.0, gt=0, description="longest time one request may take, its waiting included"
    )
    stream_interval_s: float = Field(
        default=0.1,
        ge=0,
        description="a stream's first text comes at once, then an event so often, with what was "
        "made meanwhile; 0: an event for every token",
    )
    drain_timeout_s: float = Field(
        default=60.0,
        ge=0,
        description="a replica that leaves, for a new version or for want of work, finishes its "
        "requests for so long",
    )
    max_body_bytes: int = Field(
        default=8 * 2**20, ge=1, description="largest body taken; a larger one is answered 413"
    )
    body_timeout_s: float = Field(
        default=30.0, gt=0, description="longest time in which a body may arrive"
    )
    session_affinity: bool = Field(
        default=False,
        description="send requests with the same x-session-id header to the same replica, which "
        "has their prefix in its cache; others are spread evenly, not by load",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        self.model_name = self.model_name or self.model.resolve().name
        request_tokens = self.max_prompt_tokens + self.max_output_tokens
        cache_tokens = self.num_blocks * CACHE_BLOCK_TOKENS
        if request_tokens > cache_tokens:
            raise ValueError(
                f"max_prompt_tokens + max_output_tokens = {request_tokens} does not fit the cache: "
                f"num_blocks {self.num_blocks} x {CACHE_BLOCK_TOKENS} = {cache_tokens} tokens"
            )
        return self
