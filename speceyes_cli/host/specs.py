"""The frozen records that plugins hand to the program."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from speceyes_cli.core.agents import Agent, AgentState, Policy, Worded
from speceyes_cli.core.chat import Ask, Engine, Role
from speceyes_cli.core.gate.defaults import DEFAULT_THRESHOLD
from speceyes_cli.core.gate.token import FIGURES, STATISTICS, Statistic, TokenScore
from speceyes_cli.core.judging.answer_rules import score_by_rule
from speceyes_cli.core.judging.judges import Judge, Rule
from speceyes_cli.core.samples import OWN_LAYOUT, QuestionLayout, Sample, Verdict
from speceyes_cli.host.plugin_options import NO_VALUES, OptionValues, PluginOption

__all__ = [
    "Agent",
    "AgentOptions",
    "AgentSpec",
    "AgentState",
    "Bar",
    "CheckSpec",
    "DataSource",
    "DatasetSpec",
    "EngineOptions",
    "EngineSpec",
    "Finding",
    "FoundPrompt",
    "FoundPrompts",
    "GateSpec",
    "Judge",
    "JudgeOptions",
    "JudgeSpec",
    "MethodSpec",
    "Policy",
    "Rendered",
    "Scored",
    "Worded",
]


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """What the command line says to an agent; None leaves the agent's own default."""

    max_turns: int | None = None
    max_new_tokens: int | None = None
    prompts: Mapping[str, str] = field(default_factory=dict)
    """Texts that stand in the place of the agent's own, by key."""
    options: OptionValues = NO_VALUES
    """What `AgentSpec.options` declares, given or by default."""
    question: QuestionLayout = OWN_LAYOUT
    """How the question is laid out: the second argument of `question_text`."""


class FoundPrompt(NamedTuple):
    """A text that was read somewhere else."""

    text: str
    origin: str
    """Where it was: a file and its line, and the name that it has there."""


@dataclass(frozen=True, slots=True)
class FoundPrompts:
    """What a clone of another's repository says, in the keys of a prompts file."""

    prompts: Mapping[str, FoundPrompt]
    missing: tuple[str, ...] = ()
    """What it does not have, each as a user knows it; there the own texts are used."""


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """A tool-using agent."""

    name: str
    factory: Callable[[AgentOptions], Agent]
    models: Mapping[Role, str]
    """The published models this agent is used with, chosen by `--models paper`."""
    summary: str
    options: tuple[PluginOption, ...] = ()
    """Options of its own, given as `--agent-option name=value`."""
    prompt_sources: Mapping[str, Callable[[Path], FoundPrompts]] = field(
        default_factory=dict, hash=False
    )
    """Repositories whose clones its prompts can be read from: `--prompts NAME:FOLDER`. A reader
    raises `UsageError`, and runs nothing of what it finds."""
    published: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What `--parity paper` sets for it: options of a run by name (`threshold`, `max_turns`), its
    own as `agent-option.NAME`."""
    own_models: Mapping[str, Mapping[Role, str]] = field(default_factory=dict, hash=False)
    """Of a set that `--models` chooses, by its name, the models that are others for this agent."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How to load or reach one model."""

    model: str
    role: Role
    batch_size: int = 8
    device: str = "auto"
    dtype: str = "auto"
    attention: str = "auto"
    min_pixels: int | None = None
    max_pixels: int | None = None
    concurrency: int | None = None
    """Requests in flight, for a remote engine."""
    top_k: int = 64
    """The K that gates will use; an engine that cannot serve it refuses."""
    options: OptionValues = NO_VALUES
    """What `EngineSpec.options` declares, given or by default."""


class Rendered(NamedTuple):
    """An ask as a model reads it."""

    text: str
    """With one placeholder for each picture."""
    ids: tuple[int, ...]
    """Token ids, as many placeholders as each picture has visual tokens."""


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """A way to run models."""

    name: str
    takes: Callable[[str], bool]
    """Whether this engine serves a model of this name (a folder, a hub id, a URL)."""
    check: Callable[[EngineOptions], None]
    """Raise `UsageError` for what is wrong with the model or options, without loading it."""
    factory: Callable[[EngineOptions], Engine]
    summary: str
    gives: tuple[Statistic, ...] = field(default=STATISTICS, hash=False)
    """The statistics of each token that its replies hold; a gate that needs another is refused."""
    digest: Callable[[EngineOptions], str | None] = lambda _options: None
    """The digest of the model's files, without loading it; None where they are not at hand."""
    models: Mapping[str, Mapping[Role, str]] = field(default_factory=dict, hash=False)
    """Models that come along, by the name that `--models` chooses them by."""
    options: tuple[PluginOption, ...] = field(default=(), hash=False)
    """Options of its own: `--engine-option name=value`, or `small.name=value` for one model."""
    render: Callable[[EngineOptions, Sequence[Ask]], Sequence[Rendered]] | None = None
    """What the model would read, told without its weights; None where that cannot be told. Raises
    `UsageError` for messages that its template cannot take."""


@dataclass(frozen=True, slots=True)
class DataSource:
    """Where a dataset's files are and how its options are ordered."""

    path: str | None = None
    """A local folder, "hub", or None for the dataset's own default."""
    option_order: str = "shuffle:0"
    """"dataset" or "shuffle:SEED"."""


class Scored(NamedTuple):
    """A finished record as a dataset's metrics see it."""

    sample_id: str
    split: str
    category: str | None
    cluster: str | None
    text: str | None
    """The answer given; None for a failed sample."""
    answer: str | None
    right: bool | None
    """None when undecided or failed."""
    meta: Mapping[str, Any] = MappingProxyType({})
    """What the dataset put into the sample's `meta`."""


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """A benchmark."""

    name: str
    splits: tuple[str, ...]
    open: Callable[[str, DataSource], Iterable[Sample]]
    """Stream one split in a stable order; a bad row yields a sample whose picture raises."""
    check: Callable[[str, DataSource], None]
    """Raise `DataError` in one sentence when the split cannot be read; opens no picture."""
    score: Callable[[Sample, str], Verdict]
    """Judge an answer by rule."""
    summary: str
    size: Callable[[str, DataSource], int | None] = lambda _split, _source: None
    """Number of samples, when it is cheap to tell."""
    metrics: Callable[[Sequence[Scored]], Mapping[str, float]] | None = None
    """Figures beyond accuracy, such as POPE's F1."""
    multiple_choice: bool = False
    """Every question has options, so one that is asked by hand needs them too."""
    hub_id: str | None = None
    published_sizes: Mapping[str, int] = field(default_factory=dict)
    default_limit: int | None = None
    """Samples per split when the user names no limit; None: all."""
    named_only: tuple[str, ...] = ()
    """Splits that `--split all` leaves out; they are run when they are named."""
    fingerprint: Callable[[str, DataSource], str | None] = lambda _split, _source: None
    """A short digest of the rows, pictures left out, that is the same wherever the files lie and
    whenever they were copied; `digest_rows` makes one. It names the run and binds certificates."""


class Finding(NamedTuple):
    """One thing `speceyes doctor` looked at."""

    name: str
    state: Literal["ok", "absent", "failed"]
    """"absent" is a thing one can do without, "failed" one that something needs."""
    detail: str


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """A check of this machine for `speceyes doctor`."""

    name: str
    run: Callable[[], Iterable[Finding]]
    summary: str


@dataclass(frozen=True, slots=True)
class JudgeOptions:
    """What the command line says to a judge."""

    rule: Rule = score_by_rule
    """The dataset's own rule."""
    api_url: str = "http://localhost:23333/v1"
    """An OpenAI-compatible endpoint."""
    api_key: str = "EMPTY"
    model: str | None = None
    """The model to ask; None: the only one the endpoint lists."""
    concurrency: int = 32
    """Requests in flight."""
    timeout: float = 60.0
    """Seconds to wait for one answer, before it is tried again."""
    cache: Path | None = None
    """A file of answers had before; None: one of the user's own."""
    options: OptionValues = NO_VALUES
    """What `JudgeSpec.options` declares, given or by default."""


@dataclass(frozen=True, slots=True)
class JudgeSpec:
    """A way to tell whether an answer is right."""

    name: str
    factory: Callable[[JudgeOptions], Judge]
    summary: str
    options: tuple[PluginOption, ...] = ()
    """Options of its own, given as `--judge-option name=value`."""
    asks_server: bool = True
    """It asks a model at an endpoint: without, `--api-url` and its like are refused."""


@dataclass(frozen=True, slots=True)
class GateSpec:
    """How per-token statistics become one confidence."""

    name: str
    score: Callable[[Sequence[TokenScore]], float]
    """Scores of at least one token in, confidence in 0..1 out; NaN when undefined."""
    summary: str
    hopeless: Callable[[Sequence[TokenScore], float, int], bool] | None = None
    """(scores so far, threshold, token limit) -> no continuation can pass; None: not provable."""
    needs: tuple[Statistic, ...] = FIGURES
    """The statistics it reads; `rivals` are kept only for a gate that names them here."""


class Bar(NamedTuple):
    """What a method's threshold is measured in."""

    measure: str
    """What is measured, with its article."""
    high: int
    """It goes from 0 to this."""
    default: float
    whole: bool = False
    """Whole numbers only."""


CONFIDENCE = Bar("a confidence", 1, DEFAULT_THRESHOLD)
"""What gates give."""
STEP_SCORE = Bar("a step's score, one digit,", 9, 7, whole=True)  # SpecReason: 7 keeps a step


@dataclass(frozen=True, slots=True)
class MethodSpec:
    """A way to answer one sample."""

    name: str
    policy: Callable[..., Policy]
    """Called as policy(sample, agent, gate, method_options)."""
    roles: tuple[Role, ...]
    """The models it needs."""
    summary: str
    both_branches: Callable[..., Policy] | None = None
    """The same method with draft and agent run for every sample, for `--both-branches`."""
    bar: Bar = CONFIDENCE
    """What `gate.threshold` is measured in; a gate decides only where it is a confidence."""
    options: tuple[PluginOption, ...] = ()
    """Options of its own, given as `--method-option name=value`; the policy finds their values in
    `MethodOptions.options`."""
    race: Callable[..., Policy] | None = None
    """The same method for the shortest wait: what it may need is begun at once."""
