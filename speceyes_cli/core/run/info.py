"""What a run is: its configuration, where it was made, and the file that says so."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

import speceyes_cli
from speceyes_cli.core.errors import DataError
from speceyes_cli.core.files import read_file_text
from speceyes_cli.core.run.prompt_notes import PromptNote
from speceyes_cli.core.run.records import Text, plain_json
from speceyes_cli.core.run.tags import Tag

SCHEMA_VERSION = 2
RUN_FILE = "run.json"
LIBRARIES = ("torch", "transformers", "pillow", "numpy", "triton", "pydantic", "openai")
"""Libraries whose versions can change an answer or a timing."""

Json = Annotated[dict[str, Any], BeforeValidator(plain_json)]
PluginOptions = dict[str, dict[str, bool | int | float | str | None]]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class RunConfig(_Model):
    """Everything chosen that can change an answer or its timing; it names the run.

    What a method does not use is None, so that it cannot tell two equal runs apart. Each field's
    tag says what it decides: see `tags`.
    """

    method: Annotated[str, Tag("answers", "method")]
    """How samples are answered."""
    agent: Annotated[str, Tag("answers", "agent")]
    """The tool-using agent."""
    dataset: Annotated[str, Tag("answers", "samples")]
    """The benchmark."""
    splits: Annotated[tuple[str, ...], Tag("neither", "samples")]
    """Its splits, in order."""
    data: Annotated[Text | None, Tag("answers", "files")]
    """Where its files are; None: the dataset's own place."""
    option_order: Annotated[str, Tag("answers", "samples")]
    """"dataset" or "shuffle:SEED"."""
    limit: Annotated[int | None, Tag("neither", "samples")]
    """Samples of each split; None: all."""
    small: Annotated[Text | None, Tag("answers", "draft")]
    """The model that drafts."""
    large: Annotated[Text | None, Tag("answers", "agent")]
    """The model that screens and runs the agent."""
    gate: Annotated[str | None, Tag("answers", "gate")]
    """How token statistics become a confidence."""
    top_k: Annotated[int | None, Tag("answers", "gate")]
    """Logits per token that the gate looks at."""
    threshold: Annotated[float | None, Tag("answers", "gate")]
    """The confidence a draft must exceed, or the score that keeps a SpecReason step."""
    tie_policy: Annotated[str | None, Tag("answers", "method")] = None
    """What becomes of a draft that a tie decided: "accept" or "reject"; None: accept."""
    screen: Annotated[str | None, Tag("answers", "method")] = None
    """The model that screens: "large", "small" or "none"."""
    draft_tokens: Annotated[int | None, Tag("answers", "draft")] = None
    """Tokens after which a draft is cut."""
    thinking: Annotated[bool, Tag("answers", "draft")] = False
    """The small model thinks before it drafts; only what follows the thought counts."""
    race: Annotated[bool, Tag("time", "method")] = False
    """Screen, draft and agent began at once; what was not wanted is the phase "wasted"."""
    both_branches: Annotated[bool, Tag("time", "method")] = False
    """Draft and agent were run for every sample, whatever the gate said."""
    audit: Annotated[float | None, Tag("time", "method")] = None
    """The share of accepted drafts for which the agent answered too, afterwards; None: none."""
    batch_size: Annotated[int, Tag("time", "machine")]
    """Asks an engine may take at once."""
    fallbacks: Annotated[int | None, Tag("time", "agent")] = None
    """Agent loops under way at once; None: as many as batches take."""
    device: Annotated[str, Tag("time", "machine")]
    """Where models run."""
    dtype: Annotated[str, Tag("answers", "machine")]
    """The models' number format."""
    attention: Annotated[str, Tag("time", "machine")]
    """The models' attention implementation."""
    concurrency: Annotated[int | None, Tag("time", "machine")] = None
    """Requests in flight at an endpoint; None: the engine's own."""
    small_min_pixels: Annotated[int | None, Tag("answers", "draft")]
    """The small model's least picture area in pixels; None: the model's own."""
    small_max_pixels: Annotated[int | None, Tag("answers", "draft")]
    """The small model's greatest picture area in pixels; None: the model's own."""
    large_min_pixels: Annotated[int | None, Tag("answers", "agent")]
    """The large model's least picture area in pixels; None: the model's own."""
    large_max_pixels: Annotated[int | None, Tag("answers", "agent")]
    """The large model's greatest picture area in pixels; None: the model's own."""
    max_turns: Annotated[int | None, Tag("answers", "agent")]
    """Turns of the agent; None: the agent's own."""
    max_new_tokens: Annotated[int | None, Tag("answers", "agent")]
    """Tokens of each turn; None: the agent's own."""
    parity: Annotated[str | None, Tag("answers", "agent")] = None
    """"paper": pictures, screen and cut drafts are handled as in the paper's own code."""
    answer_options: Annotated[PluginOptions, Tag("answers", "keyed")] = {}
    """Options of plugins that decide answers: by part ("method", "agent", "small", "large") and
    name."""
    time_options: Annotated[PluginOptions, Tag("time", "keyed")] = {}
    """Options of plugins that decide how long answers take, in the same form."""
    prompt_hashes: Annotated[dict[str, str], Tag("answers", "keyed")]
    """SHA-256 of the wording of each phase's prompt."""
    data_fingerprint: Annotated[dict[str, str | None], Tag("answers", "files")]
    """The dataset's digest of each split, where it gives one."""
    model_digests: Annotated[dict[str, str], Tag("answers", "files")] = {}
    """The digest of each role's model, where it is in a folder."""

    @model_validator(mode="before")
    @classmethod
    def _from_version_1(cls, fields: Any) -> Any:
        """Version 1 kept Thyme's two settings, under any agent, in place of plugins' options."""
        if not isinstance(fields, dict) or "agent_settings" not in fields:
            return fields
        settings, agent = dict(fields.pop("agent_settings") or {}), f"{fields.get('agent')}_"
        if any(name.startswith(agent) for name in settings):
            own = {name.removeprefix(agent): value for name, value in settings.items()}
            fields["answer_options"] = {"agent": own}
        return fields


class RunInfo(_Model):
    """The contents of `run.json`."""

    schema_version: int = SCHEMA_VERSION
    """Version of this layout."""
    name: Text
    """The run's name, which is its folder's."""
    created: str
    """When it was begun, ISO 8601 in UTC."""
    config: RunConfig
    """What was run."""
    options: Json
    """Every option as given or defaulted."""
    passed: tuple[str, ...]
    """The options the user named, on the command line or in the environment."""
    engines: dict[str, Json]
    """Each role's engine in its own words; empty until the models are loaded."""
    versions: dict[str, str]
    """The program and libraries."""
    git_revision: str | None
    """The source's revision, when it runs from a checkout."""
    hardware: Json
    """The machine: system, processor, cores, memory, accelerators."""
    prompts: dict[str, PromptNote] = {}
    """Each text of the prompts, by its key in a prompts file; empty in older runs."""
    notes: tuple[Text, ...] = ()
    """What was told before the run: what `--parity` set, and which prompts were not found."""
    status: Literal["running", "interrupted", "finished"]
    """"running" in a folder that nobody holds means that the program was killed."""
    active_seconds: float = 0.0
    """Wall time spent answering, over all sessions that ended in order."""


def describe_run(
    config: RunConfig,
    options: Mapping[str, Any],
    passed: tuple[str, ...],
    prompts: Mapping[str, PromptNote] = MappingProxyType({}),
    notes: tuple[str, ...] = (),
) -> RunInfo:
    """What can be said of a run before its models are loaded."""
    return RunInfo(
        name=default_name(config),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        config=config,
        options=dict(options),
        passed=passed,
        engines={},
        versions=library_versions(),
        git_revision=git_revision(),
        hardware=hardware(),
        prompts=dict(prompts),
        notes=notes,
        status="running",
    )


def default_name(config: RunConfig) -> str:
    """A readable name that is the same for the same configuration, and for no other."""
    parts = [config.dataset, config.agent, config.method]
    if config.threshold is not None:
        parts += [part for part in (config.gate, f"{config.threshold:g}") if part]
    known = json.dumps(identity_of(config), sort_keys=True)
    return "-".join([*parts, hashlib.sha256(known.encode()).hexdigest()[:8]])


def identity_of(config: RunConfig) -> dict[str, Any]:
    """What tells two runs apart: the configuration, with digests in the place of paths.

    So the same data and the same model are the same wherever they lie.
    """
    fields = config.model_dump(mode="json", exclude={"model_digests"}) | config.model_digests
    if all(config.data_fingerprint.get(split) for split in config.splits):
        fields["data"] = None
    return fields


def same_data(one: RunConfig, other: RunConfig) -> bool:
    """Whether the splits that both have are the same: by digest, or by path where there is none."""
    prints, others = one.data_fingerprint, other.data_fingerprint
    return all(
        prints.get(split) == others.get(split)
        and (prints.get(split) is not None or one.data == other.data)
        for split in one.splits
        if split in other.splits
    )


def identity_of_engines(engines: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What tells loaded engines apart; a model whose revision is known needs no name."""
    return {
        role: {key: engine[key] for key in engine if key != "model" or not engine.get("revision")}
        for role, engine in engines.items()
    }


def differences(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Each field in which two configurations differ, with both values."""
    for key in [*earlier, *(key for key in now if key not in earlier)]:
        before, after = earlier.get(key), now.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from (f"{key}.{inner}" for inner in differences(before, after))
        elif before != after:
            yield f"{key} (then {before!r}, now {after!r})"


def read_run_info(folder: Path) -> RunInfo:
    """The run's description; `DataError` when it is missing, damaged or from a later version."""
    path = folder / RUN_FILE
    try:
        text = read_file_text(path)
    except FileNotFoundError:
        raise DataError(f"{folder} is not a run folder: it has no {RUN_FILE}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.") from None
    try:
        return RunInfo.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise DataError(
            f"{path} is damaged or from another version of the program "
            f"({where}: {first['msg']}); eval --fresh starts the run again."
        ) from None


def write_run_info(folder: Path, info: RunInfo) -> None:
    """Write `run.json` so that it is never seen half-written."""
    kept = plain_json(info.model_dump())  # a folder's name may hold what no file can
    write_atomically(folder / RUN_FILE, [json.dumps(kept, indent=2, ensure_ascii=False) + "\n"])


def write_atomically(path: Path, chunks: Iterator[str] | list[str]) -> None:
    """Write a file beside `path`, bring it to the disk, and put it in place in one step."""
    beside = path.with_name(f".{path.name}.new")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def library_versions() -> dict[str, str]:
    """Versions of the program, Python and the libraries that matter, without importing them."""
    versions = {"speceyes": _version("speceyes") or "unknown", "python": platform.python_version()}
    versions |= {name: found for name in LIBRARIES if (found := _version(name))}
    return versions


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def git_revision() -> str | None:
    """The checkout's revision, marked when files differ from it; None outside a checkout."""
    root = Path(speceyes_cli.__file__).parent.parent
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],  # noqa: S607 - found on PATH
            cwd=root,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def hardware() -> dict[str, Any]:
    """The machine as far as the standard library can tell; engines tell of accelerators."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(pages / 2**30, 1),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()
