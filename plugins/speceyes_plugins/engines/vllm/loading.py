"""A model brought into vLLM, with our processor in its sampler."""

from __future__ import annotations

import os

os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # read when vLLM is imported

from typing import Any

import torch
from transformers import AutoProcessor
from vllm import LLM

from speceyes_cli.plugin import EngineOptions, UsageError, first_line
from speceyes_plugins.engines.vllm.engine import VLLMEngine
from speceyes_plugins.engines.vllm.models import engine_arguments, location
from speceyes_plugins.engines.vllm.processors import RunnerV1Scores, RunnerV2Scores

PLACES = 64
"""Requests that run at once by default."""
PICTURES = 48
"""Pictures of one prompt: 32 of a served conversation, and an agent's crops."""


def load(options: EngineOptions) -> VLLMEngine:
    """Load the model; raises `UsageError` in one sentence when it cannot be had."""
    place = location(options.model, options.role)
    places = options.concurrency or PLACES
    arguments: dict[str, Any] = {
        "dtype": options.dtype if options.dtype != "auto" else _dtype(),
        "max_num_seqs": places,
        "limit_mm_per_prompt": {"image": PICTURES},
        "logits_processors": processors(),
        "mm_processor_kwargs": _budget(options),
        "enforce_eager": not torch.cuda.is_available(),
        "async_scheduling": None if _second_runner() else False,
        "disable_log_stats": True,
        "gpu_memory_utilization": options.options["memory-share"],
        "max_model_len": options.options["max-length"],
    }
    try:
        model = LLM(place, **{**arguments, **_block(), **engine_arguments(options)})
        processor = AutoProcessor.from_pretrained(place)
    except (ValueError, RuntimeError, OSError) as error:
        raise UsageError(
            f"--{options.role}: vLLM cannot load {options.model}: {first_line(error)}."
        ) from error
    return VLLMEngine(model, processor, options, places)


def processors() -> list[type[Any]]:
    """What scores rows in the sampler of this machine's model runner."""
    return [RunnerV2Scores if _second_runner() else RunnerV1Scores]


def _second_runner() -> bool:
    """Whether this machine's requests are run by Model Runner V2."""
    return torch.cuda.is_available() and os.environ.get("VLLM_USE_V2_MODEL_RUNNER") != "0"


def _block() -> dict[str, int]:
    """On a CPU vLLM caches prompts in blocks of 128 tokens, of which short turns fill none."""
    return {} if torch.cuda.is_available() else {"block_size": 32}


def _dtype() -> str:
    return "bfloat16" if torch.cuda.is_available() else "float32"


def _budget(options: EngineOptions) -> dict[str, Any]:
    bounds = {"min_pixels": options.min_pixels, "max_pixels": options.max_pixels}
    return {name: value for name, value in bounds.items() if value is not None}
