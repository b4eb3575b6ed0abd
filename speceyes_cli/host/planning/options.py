"""The options of the command line as plain values, each defined once with its help."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from speceyes_cli.core.gate.defaults import DEFAULT_TOP_K


def option(default: Any, help: str, panel: str, flags: str | None = None) -> Any:  # noqa: A002 - the command line's word
    """A field that is an option; `flags` where its name alone does not say them."""
    return field(default=default, metadata={"help": help, "panel": panel, "flags": flags})


def argument(help: str, *, required: bool = False) -> Any:  # noqa: A002 - the command line's word
    """A field that is given by its place, without a flag; None where it may be left out and is."""
    return field(default=MISSING if required else None, metadata={"help": help, "argument": True})


WHAT = "What to run"
DECISION = "The decision"
MODELS = "Models"
AGENT = "The agent"
RUN = "The run"


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Which samples."""

    dataset: str = option("needle", "Benchmark; `speceyes plugins` lists them.", WHAT)
    split: str = option("all", "One of its splits, or all.", WHAT)
    data: str | None = option(
        None, "Folder of its files, or one file; hub or hub@COMMIT downloads them.", WHAT
    )
    option_order: str = option("shuffle:0", "dataset (as published) or shuffle:SEED.", WHAT)
    limit: int | None = option(
        None,
        "Samples of each split; 0 for all. Without it the dataset decides: needle takes as many "
        "as a laptop answers in about a minute, the others all.",
        WHAT,
    )


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Which models, and how they run."""

    models: str = option(
        "embedded",
        "embedded: the tiny pair that comes along; paper: the published models of the agent.",
        MODELS,
    )
    small: str | None = option(
        None, "Model that drafts: folder, hub id, URL#model or vllm:MODEL.", MODELS
    )
    large: str | None = option(
        None, "Model that screens and runs the agent, named in the same ways.", MODELS
    )
    batch_size: int = option(8, "Requests that a model answers in one batch.", MODELS)
    concurrency: int | None = option(
        None,
        "Requests in flight: 32 by default at an endpoint, fewer after its 429s; 64 with vllm:.",
        MODELS,
    )
    device: str = option("auto", "Where they run: auto, cpu, cuda or cuda:N.", MODELS)
    dtype: str = option("auto", "auto, float32, bfloat16 or float16.", MODELS)
    attention: str = option("auto", "auto, eager, sdpa or flash_attention_2.", MODELS)
    engine_option: list[str] | None = option(
        None,
        "An option of the engines' own, as name=value; small.name=value for one model's alone.",
        MODELS,
    )
    small_min_pixels: int | None = option(None, "Least picture area the small sees.", MODELS)
    small_max_pixels: int | None = option(None, "Greatest picture area the small sees.", MODELS)
    large_min_pixels: int | None = option(None, "Least picture area the large sees.", MODELS)
    large_max_pixels: int | None = option(None, "Greatest picture area the large sees.", MODELS)


@dataclass(frozen=True, kw_only=True)
class DecisionOptions:
    """How samples are answered."""

    method: str = option(
        "speceyes",
        "speceyes; one end of it: baseline (agent alone) or draft (small alone); or specreason "
        "(small proposes each step, large scores it).",
        WHAT,
    )
    threshold: float | None = option(
        None,
        "Confidence in 0..1 that a draft must exceed to stand; 0.98 by default. For specreason the "
        "score from 0 to 9 that keeps a step; 7 by default.",
        DECISION,
    )
    gate: str = option(
        "min",
        "How a draft's tokens become one confidence; or a file of `analyze learn`.",
        DECISION,
    )
    top_k: int = option(DEFAULT_TOP_K, "Logits of each token that the gate looks at.", DECISION)
    tie_policy: str | None = option(
        None,
        "accept or reject a draft of which an exact tie of the two largest logits decided a token; "
        "by default reject, accept with --parity.",
        DECISION,
    )
    method_option: list[str] | None = option(
        None, "An option of the method's own, as name=value; given once for each.", DECISION
    )
    screen: str = option(
        "large",
        "Model asked whether a tool would help: large, small, or none to draft every sample.",
        DECISION,
    )
    thinking: bool = option(
        default=False,
        help="The small model thinks before it drafts: only what follows </think> is scored.",
        panel=DECISION,
        flags="--thinking",
    )
    draft_tokens: int | None = option(
        None, "Tokens that cut a draft; 20 by default, 1024 with --thinking.", DECISION
    )
    race: bool = option(
        default=False,
        help="Begin screen, draft and agent at once and cancel what is not wanted: an answer comes "
        "sooner where the models have devices of their own, for work that may be wasted.",
        panel=DECISION,
        flags="--race",
    )


@dataclass(frozen=True, kw_only=True)
class BranchOptions:
    """Whether both branches are run."""

    both_branches: bool = option(
        default=False,
        help="Draft and run the agent for every sample, so that `analyze replay` and `analyze "
        "calibrate` can tell what any threshold would do. Takes longer; measures no speedup.",
        panel=DECISION,
        flags="--both-branches",
    )


@dataclass(frozen=True, kw_only=True)
class AuditOptions:
    """Whether accepted drafts are audited."""

    audit: float | None = option(
        None,
        "Share of accepted drafts, picked at random, for which the agent answers too once the "
        "answer is given, for `analyze watch`; its time is not the answer's.",
        DECISION,
    )


@dataclass(frozen=True, kw_only=True)
class AgentChoice:
    """Which agent, and its budget."""

    agent: str = option("deepeyes", "Agent that answers what the gate turns away.", WHAT)
    max_turns: int | None = option(None, "Turns of the agent's loop; its own by default.", AGENT)
    max_new_tokens: int | None = option(None, "Tokens of each turn; its own by default.", AGENT)
    prompts: str | None = option(
        None,
        "TOML file that replaces prompts; or a clone that they are read from, without running it: "
        "upstream:FOLDER (the paper's repository), deepeyes:FOLDER, thyme:FOLDER.",
        AGENT,
    )
    agent_option: list[str] | None = option(
        None, "An option of the agent's own, as name=value; given once for each.", AGENT
    )


@dataclass(frozen=True, kw_only=True)
class ParityOptions:
    """Whether this program's own choices are given up."""

    parity: str | None = option(
        None,
        "paper: set everything in which this program differs on purpose from the paper's own code "
        "(docs/parity.md), but for what is named here too; the list is printed and recorded.",
        DECISION,
    )


@dataclass(frozen=True, kw_only=True)
class FallbackOptions:
    """How many samples are with the agent at once."""

    fallbacks: int | None = option(
        None,
        "Agent loops under way at once; 1 is the paper's serial setting. By default as many as "
        "fill the batches.",
        AGENT,
    )


@dataclass(frozen=True, kw_only=True)
class FolderOptions:
    """Where a run over a dataset is kept, and how it goes on."""

    out: Path | None = option(
        None, "Run folder; by default runs/ and a name made of the configuration.", RUN
    )
    resume: bool = option(
        default=True,
        help="Go on with the run in the folder, or begin it anew.",
        panel=RUN,
        flags="--resume/--fresh",
    )
    retry_errors: bool = option(
        default=False, help="Try failed samples again.", panel=RUN, flags="--retry-errors"
    )
    max_errors: int = option(0, "Failed samples that still make a success (exit 0).", RUN)
    cache: bool | None = option(
        None,
        "Replay model calls made before in place of making them again; their time is marked as "
        "cached. By default on with --sweep, off without: only calls that are made are timed.",
        RUN,
        flags="--cache/--no-cache",
    )
    cache_dir: Path | None = option(
        None, "Folder of the call cache; runs/.cache by default. It may be deleted any time.", RUN
    )
    keep_images: bool = option(
        default=False,
        help="Keep the pictures the models saw, as PNG in the run folder.",
        panel=RUN,
        flags="--keep-images",
    )


@dataclass(frozen=True, kw_only=True)
class RunOptions(
    FolderOptions,
    FallbackOptions,
    ParityOptions,
    AgentChoice,
    AuditOptions,
    BranchOptions,
    DecisionOptions,
    ModelOptions,
    DataOptions,
):
    """All that a run is planned from; a command that offers less leaves the rest as it is here.

    The fields of the last base come first, also in the help: what to run, then how.
    """

    certificate: Path | None = option(
        None,
        "File of `analyze calibrate`: its gate, K and threshold are used, and a run that it does "
        "not speak for is refused.",
        DECISION,
    )


def as_run_options(options: Any) -> RunOptions:
    """A command's choices as a run's, for what plans both."""
    shared = {field.name for field in fields(RunOptions)} & {f.name for f in fields(options)}
    return RunOptions(**{name: getattr(options, name) for name in shared})
