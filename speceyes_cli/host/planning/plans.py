"""From options to a plan: everything that can be wrong is found before a model is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import get_args

from speceyes_cli.analysis.certificate import (
    Certificate,
    read_certificate,
    require_data,
    require_pictures,
    require_setting,
)
from speceyes_cli.analysis.learned.gate_file import LearnedGate
from speceyes_cli.core.chat import Role
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.gate.defaults import REJECT
from speceyes_cli.core.methods.method_options import (
    DRAFT_TOKENS,
    THINKING_TOKENS,
    MethodOptions,
    Screen,
)
from speceyes_cli.core.run.changes import Change, drop_changed
from speceyes_cli.core.run.evaluate import Placed, Recipe, unfinished
from speceyes_cli.core.run.info import RunConfig, RunInfo, describe_run
from speceyes_cli.core.run.prompt_notes import prompt_hashes
from speceyes_cli.core.run.store import RunStore, SampleKey
from speceyes_cli.core.samples import Sample
from speceyes_cli.core.text import writable
from speceyes_cli.host.manager import Host, known_names
from speceyes_cli.host.planning.auditing import choose_audit
from speceyes_cli.host.planning.learned import settle_gate
from speceyes_cli.host.planning.models import Load, plan_loads
from speceyes_cli.host.planning.options import RunOptions
from speceyes_cli.host.planning.parity import follow_paper, resizing_first
from speceyes_cli.host.planning.plugin_options import (
    AGENT,
    METHOD,
    Owner,
    decided,
    read_options,
)
from speceyes_cli.host.planning.splits import choose_splits, require_splits
from speceyes_cli.host.planning.ties import choose_tie_policy
from speceyes_cli.host.planning.wording import (
    NO_WORDING,
    Wording,
    prompt_notes,
    read_wording,
)
from speceyes_cli.host.plugin_options import Decides, OptionValue
from speceyes_cli.host.specs import (
    CONFIDENCE,
    Agent,
    AgentOptions,
    DatasetSpec,
    DataSource,
    MethodSpec,
    Policy,
)

RUNS = Path("runs")
CACHE = RUNS / ".cache"


@dataclass(frozen=True, slots=True)
class RunPlan:
    """A run that is known to be possible."""

    info: RunInfo
    folder: Path
    recipe: Recipe
    dataset: DatasetSpec
    source: DataSource
    loads: Mapping[Role, Load]
    retry_errors: bool
    certificate: Certificate | None = None
    """What the loaded models must match, where the threshold comes from one."""
    learned: LearnedGate | None = None
    """The same, where the gate was learned."""

    def samples(self, done: Mapping[SampleKey, str]) -> Iterator[Placed]:
        """The samples still to be answered, split after split."""
        for split in self.info.config.splits:
            yield from unfinished(self._rows(split), done, retry_errors=self.retry_errors)

    def review(self, store: RunStore) -> Sequence[Change]:
        """Take answers to samples that changed out of the run; see `drop_changed`."""
        return drop_changed(store, self.rows(), retry_errors=self.retry_errors)

    def rows(self) -> Iterator[Sample]:
        """Every sample of the run, split after split."""
        return chain.from_iterable(self._rows(split) for split in self.info.config.splits)

    def _rows(self, split: str) -> Iterator[Sample]:
        """The split as the dataset gives it, with ids that can be written."""
        for sample in islice(self.dataset.open(split, self.source), self.info.config.limit):
            known = writable(sample.id)
            yield sample if known == sample.id else replace(sample, id=known)

    def size(self) -> int | None:
        """How many samples the whole run has, where the dataset can tell."""
        config = self.info.config
        sizes = [self.dataset.size(split, self.source) for split in config.splits]
        limit = config.limit
        known = [size if limit is None else min(size, limit) for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None


def plan_run(options: RunOptions, passed: tuple[str, ...], host: Host) -> RunPlan:
    """Resolve every name and check every value; raises `SpecEyesError` for the first wrong one."""
    check_numbers(options)
    method = host.methods.get(options.method)
    options, told = follow_paper(options, method, passed, host)
    certificate = read_certificate(options.certificate) if options.certificate else None
    options, host = settle_gate(options, host, passed, certificate.learned if certificate else None)
    if certificate is not None:
        options = follow(certificate, options, passed)
    options = replace(options, threshold=choose_threshold(options, method))
    audit = choose_audit(options, method)
    wording = read_wording(options, host)
    method_options = choose_method_options(options, method, wording)
    gate = make_gate(options, host)
    agent = make_agent(options, host, wording)
    dataset = host.datasets.get(options.dataset)
    source = DataSource(options.data, options.option_order)
    splits = choose_splits(dataset, options.split)
    require_splits(dataset, splits, source)
    loads = plan_loads(method, options, host)
    hashes = prompt_hashes(agent, wording.for_method, wording.texts)
    config = make_config(options, method, dataset, splits, hashes, loads, host)
    if certificate is not None:
        require_setting(certificate, config)
        require_data(certificate, config)
    notes = (*told, *wording.notes)
    info = describe_run(config, asdict(options), passed, prompt_notes(agent, wording), notes)
    plan = RunPlan(
        info=info,
        folder=options.out or RUNS / info.name,
        recipe=Recipe(
            choose_policy(options, method),
            agent,
            gate,
            dataset.score,
            options.keep_images,
            method_options,
            options.fallbacks,
            audit,
        ),
        dataset=dataset,
        source=source,
        loads=loads,
        retry_errors=options.retry_errors,
        certificate=certificate,
        learned=host.learned.get(gate.name),
    )
    if certificate is not None:
        require_pictures(certificate, plan.rows())
    return plan


def follow(certificate: Certificate, options: RunOptions, passed: tuple[str, ...]) -> RunOptions:
    """The options with the certificate's gate, K and threshold.

    Another of its certified gates may be named, and a stricter threshold: their promises hold
    together. Where several losses were certified, a threshold that is named may be that of a larger
    one. Raises `UsageError` for what the certificate does not cover.
    """
    gate = options.gate if "gate" in passed else certificate.gate
    points = [point for point in certificate.frontier if point.gate == gate]
    own = gate == certificate.gate
    loosest = min((point.threshold for point in points), default=certificate.threshold)
    kept = [point.threshold for point in points if point.max_loss <= certificate.max_loss]
    threshold = certificate.threshold if own else min(kept, default=loosest)
    top_k = points[0].top_k if points else certificate.top_k
    covered: dict[str, tuple[object, bool]] = {
        "gate": (certificate.gate, own or bool(points)),
        "top_k": (top_k, options.top_k == top_k),
        "threshold": (loosest, options.threshold is None or options.threshold >= loosest),
    }
    for name, (certified, fits) in covered.items():
        if name in passed and not fits:
            raise UsageError(
                f"--{name.replace('_', '-')} is {getattr(options, name)}, but the certificate says "
                f"{certified}; leave one of the two out."
            )
    if "threshold" in passed and options.threshold is not None:
        threshold = options.threshold
    elif not own and not kept:
        least = min(points, key=lambda point: point.max_loss)
        raise UsageError(
            f"--gate {gate} is certified for a loss of {least.max_loss:g}, not for the "
            f"certificate's {certificate.max_loss:g}; if that will do, add --threshold "
            f"{least.threshold:g}."
        )
    return replace(options, gate=gate, top_k=top_k, threshold=threshold)


def choose_policy(options: RunOptions, method: MethodSpec) -> Callable[..., Policy]:
    """The method's policy, or the one that leaves no branch out; with --parity the paper's."""
    policy = _branches(options, method)
    return resizing_first(policy) if options.parity else policy


def _branches(options: RunOptions, method: MethodSpec) -> Callable[..., Policy]:
    if options.race:
        if options.both_branches:
            raise UsageError("--race cancels a branch and --both-branches keeps both: choose one.")
        if method.race is None:
            raise UsageError(f"--race needs a method that can begin at once; {method.name} cannot.")
        return method.race
    if not options.both_branches:
        return method.policy
    if method.both_branches is None:
        raise UsageError(
            f"--both-branches needs a method with two branches, such as speceyes; "
            f"{method.name} has one."
        )
    return method.both_branches


def choose_threshold(options: RunOptions, method: MethodSpec) -> float:
    """The threshold in the method's measure, its own where none is named."""
    bar = method.bar
    if options.threshold is None:
        return bar.default
    fits = 0 <= options.threshold <= bar.high
    if not fits or (bar.whole and options.threshold != int(options.threshold)):
        raise UsageError(
            f"--threshold is {bar.measure} from 0 to {bar.high}, not {options.threshold:g}"
            + (f", for the method {method.name}." if bar is not CONFIDENCE else ".")
        )
    return options.threshold


def choose_method_options(
    options: RunOptions, method: MethodSpec, wording: Wording
) -> MethodOptions:
    """How the method screens and drafts, and in which words."""
    screens: tuple[Screen, ...] = get_args(Screen)
    screen = next((name for name in screens if name == options.screen), None)
    if screen is None:
        raise UsageError(
            f"--screen {options.screen} is not known; {known_names(options.screen, screens)}."
        )
    usual = THINKING_TOKENS if options.thinking else DRAFT_TOKENS
    own = read_options(METHOD, options.method_option, Owner("method", method.name, method.options))
    return MethodOptions(
        screen,
        options.draft_tokens or usual,
        options.thinking,
        own,
        wording.for_method,
        as_paper=options.parity is not None,
    )


def check_numbers(options: RunOptions) -> None:
    """Raise `UsageError` for a number outside its range."""
    least: dict[str, tuple[int | None, int]] = {
        "--top-k": (options.top_k, 2),
        "--batch-size": (options.batch_size, 1),
        "--draft-tokens": (options.draft_tokens, 1),
        "--fallbacks": (options.fallbacks, 1),
        "--concurrency": (options.concurrency, 1),
        "--limit": (options.limit, 0),
        "--max-errors": (options.max_errors, 0),
        "--max-turns": (options.max_turns, 1),
        "--max-new-tokens": (options.max_new_tokens, 1),
        "--small-min-pixels": (options.small_min_pixels, 1),
        "--small-max-pixels": (options.small_max_pixels, 1),
        "--large-min-pixels": (options.large_min_pixels, 1),
        "--large-max-pixels": (options.large_max_pixels, 1),
    }
    for flag, (value, bound) in least.items():
        if value is not None and value < bound:
            raise UsageError(f"{flag} must be at least {bound}, not {value}.")


def make_gate(options: RunOptions, host: Host) -> Gate:
    """The gate by name, with its K and threshold."""
    spec = host.gates.get(options.gate)
    threshold = CONFIDENCE.default if options.threshold is None else options.threshold
    kept = options.top_k if "rivals" in spec.needs else 0
    cut = options.parity is not None
    hopeless = None if cut else spec.hopeless
    return Gate(
        spec.name,
        spec.score,
        options.top_k,
        threshold,
        hopeless,
        kept,
        cut_stands=cut,
        rejects_ties=choose_tie_policy(options) == REJECT,
    )


def make_agent(options: RunOptions, host: Host, wording: Wording = NO_WORDING) -> Agent:
    """The agent by name, with its budget and prompts."""
    spec = host.agents.get(options.agent)
    own = read_options(AGENT, options.agent_option, Owner("agent", spec.name, spec.options))
    return spec.factory(
        AgentOptions(
            options.max_turns,
            options.max_new_tokens,
            wording.for_agent,
            own,
            wording.for_method.question,
        )
    )


def make_config(
    options: RunOptions,
    method: MethodSpec,
    dataset: DatasetSpec,
    splits: tuple[str, ...],
    hashes: Mapping[str, str],
    loads: Mapping[Role, Load],
    host: Host,
) -> RunConfig:
    """What identifies the run; what its method does not use is None."""
    source = DataSource(options.data, options.option_order)
    drafts = "small" in method.roles
    large = "large" in method.roles
    scored = drafts and method.bar is CONFIDENCE
    method_options = choose_method_options(options, method, NO_WORDING)
    limit = dataset.default_limit if options.limit is None else options.limit or None
    models = {role: load.options.model for role, load in loads.items()}
    return RunConfig(
        method=method.name,
        agent=options.agent,
        dataset=dataset.name,
        splits=splits,
        data=options.data,
        option_order=options.option_order,
        limit=limit,
        small=models.get("small"),
        large=models.get("large"),
        gate=options.gate if scored else None,
        top_k=options.top_k if scored else None,
        threshold=options.threshold if drafts and large else None,
        tie_policy=choose_tie_policy(options) if scored and large else None,
        screen=method_options.screen if scored and large else None,
        draft_tokens=method_options.draft_tokens if scored else None,
        thinking=method_options.thinking and scored,
        both_branches=options.both_branches,
        audit=options.audit,
        race=options.race,
        batch_size=options.batch_size,
        fallbacks=options.fallbacks if large else None,
        device=options.device,
        dtype=options.dtype,
        attention=options.attention,
        concurrency=options.concurrency,
        small_min_pixels=options.small_min_pixels if drafts else None,
        small_max_pixels=options.small_max_pixels if drafts else None,
        large_min_pixels=options.large_min_pixels if large else None,
        large_max_pixels=options.large_max_pixels if large else None,
        max_turns=options.max_turns if large else None,
        max_new_tokens=options.max_new_tokens if large else None,
        parity=options.parity,
        answer_options=plugin_options(options, method, loads, host, "answers"),
        time_options=plugin_options(options, method, loads, host, "time"),
        prompt_hashes=dict(hashes),
        data_fingerprint={split: dataset.fingerprint(split, source) for split in splits},
        model_digests={
            role: digest
            for role, load in loads.items()
            if (digest := load.spec.digest(load.options)) is not None
        },
    )


def plugin_options(
    options: RunOptions,
    method: MethodSpec,
    loads: Mapping[Role, Load],
    host: Host,
    what: Decides,
) -> dict[str, dict[str, OptionValue]]:
    """The options that decide this, of the method and of each plugin that it uses."""
    owners = {"method": Owner("method", method.name, method.options)}
    values = {"method": read_options(METHOD, options.method_option, owners["method"])}
    if "large" in method.roles:
        spec = host.agents.get(options.agent)
        owners["agent"] = Owner("agent", spec.name, spec.options)
        values["agent"] = read_options(AGENT, options.agent_option, owners["agent"])
    for role, load in loads.items():
        owners[role] = Owner("engine", load.spec.name, load.spec.options)
        values[role] = load.options.options
    return decided(owners, values, what)
