"""Which engine runs which model: chosen and checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from speceyes_cli.core.chat import Engine, Introduced, Role
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.gate.defaults import LEAST_SEPARABLE_K
from speceyes_cli.core.text import strip_control
from speceyes_cli.host.manager import Host, known_names
from speceyes_cli.host.planning.options import RunOptions
from speceyes_cli.host.planning.plugin_options import Owner, read_engine_options
from speceyes_cli.host.plugin_options import OptionValues
from speceyes_cli.host.specs import CONFIDENCE, EngineOptions, EngineSpec, GateSpec, MethodSpec

PAPER = "paper"
"""The models that an agent was published with."""


@dataclass(frozen=True, slots=True)
class Load:
    """One model to be loaded."""

    spec: EngineSpec
    options: EngineOptions

    def __call__(self) -> Engine:
        """Load it."""
        return self.spec.factory(self.options)


def plan_loads(method: MethodSpec, options: RunOptions, host: Host) -> dict[Role, Load]:
    """Each model that the method needs, checked but not loaded; raises `UsageError`."""
    loads = name_loads(method, options, host)
    for load in loads.values():
        load.spec.check(load.options)
    if "small" in loads and method.bar is CONFIDENCE:
        gate = host.gates.get(options.gate)
        require_statistics(gate, loads["small"], host)
        require_separable(gate, options.top_k)
    return loads


def name_loads(method: MethodSpec, options: RunOptions, host: Host) -> dict[Role, Load]:
    """Each model that the method needs, unchecked: what only its tokenizer is wanted of."""
    specs = {role: choose_engine(model_name(role, options, host), host) for role in method.roles}
    owners = {role: Owner("engine", spec.name, spec.options) for role, spec in specs.items()}
    values = read_engine_options(options.engine_option, owners)
    return {
        role: Load(spec, engine_options(role, values[role], options, host))
        for role, spec in specs.items()
    }


def works_on(gate: GateSpec, engine: EngineSpec) -> bool:
    """Whether the engine gives every statistic that the gate needs."""
    return set(gate.needs) <= set(engine.gives)


def require_statistics(gate: GateSpec, load: Load, host: Host) -> None:
    """Raise `UsageError` where the engine lacks a statistic that the gate needs.

    Such a gate would find no draft's confidence, and send every sample to the agent.
    """
    if works_on(gate, load.spec):
        return
    lacking = ", ".join(name for name in gate.needs if name not in load.spec.gives)
    others = ", ".join(other.name for other in host.gates if works_on(other, load.spec))
    raise UsageError(
        f"The gate {gate.name} needs the statistic {lacking} of each token, which the engine "
        f"{load.spec.name} does not give for {load.options.model}; gates that work there: "
        f"{others or 'none'}."
    )


def is_separable(gate: GateSpec, top_k: int) -> bool:
    """Whether so many logits tell this gate anything: those of separability need a few."""
    return "separability" not in gate.needs or top_k >= LEAST_SEPARABLE_K


def require_separable(gate: GateSpec, top_k: int) -> None:
    """Raise `UsageError` for a K at which separability lets through what is no more than noise."""
    if not is_separable(gate, top_k):
        raise UsageError(
            f"--top-k {top_k} is too few for the gate {gate.name}: separability weighs the top "
            f"logit against the spread of its {top_k - 1} next, and of so few the spread is small "
            f"by chance, so that guesses pass; take at least {LEAST_SEPARABLE_K}, or a gate "
            "that needs no separability, such as log."
        )


def choose_engine(model: str, host: Host) -> EngineSpec:
    """The engine that takes the model."""
    spec = next((spec for spec in host.engines if spec.takes(model)), None)
    if spec is None:
        engines = ", ".join(f"{spec.name} ({spec.summary})" for spec in host.engines) or "none"
        broken = "".join(f" {plugin}" for plugin in host.broken)
        named = bool(model) and "://" not in model
        absent = ", and there is no such folder" if named and not Path(model).exists() else ""
        raise UsageError(
            f"No engine takes the model {model!r}{absent}; engines: {engines}.{broken}"
        )
    return spec


def engine_options(role: Role, own: OptionValues, options: RunOptions, host: Host) -> EngineOptions:
    """How the role's model is loaded or reached; `own` are the options that its engine declares."""
    small = role == "small"
    return EngineOptions(
        model=model_name(role, options, host),
        role=role,
        batch_size=options.batch_size,
        device=options.device,
        dtype=options.dtype,
        attention=options.attention,
        min_pixels=options.small_min_pixels if small else options.large_min_pixels,
        max_pixels=options.small_max_pixels if small else options.large_max_pixels,
        concurrency=options.concurrency,
        top_k=options.top_k,
        options=own,
    )


def model_name(role: Role, options: RunOptions, host: Host) -> str:
    """The model of a role: named itself, or by its set."""
    named = options.small if role == "small" else options.large
    if named is not None:
        return named
    if options.models == PAPER:
        spec = host.agents.get(options.agent)
        if role not in spec.models:
            raise UsageError(
                f"The agent {spec.name!r} ({host.agents.sources[spec.name]}) names no published "
                f"{role} model in its AgentSpec.models, so --models paper cannot be used; name one "
                f"with --{role}."
            )
        return spec.models[role]
    sets = {name: models for spec in host.engines for name, models in spec.models.items()}
    if options.models not in sets:
        known = known_names(options.models, [*sets, PAPER])
        raise UsageError(f"There is no set of models {options.models!r}; {known}.")
    if role not in sets[options.models]:
        raise UsageError(f"--models {options.models} has no {role} model; name one with --{role}.")
    own = host.agents.get(options.agent).own_models.get(options.models, {})
    return own.get(role, sets[options.models][role])


def load_engines(loads: Mapping[Role, Load], announce: Callable[[str], None]) -> dict[Role, Engine]:
    """Load every model; those already loaded are closed when one fails."""
    engines: dict[Role, Engine] = {}
    try:
        for role, load in loads.items():
            announce(f"Loading the {role} model: {load.options.model}")
            engines[role] = engine = load()
            if isinstance(engine, Introduced):
                announce(strip_control(engine.introduction))
    except BaseException:
        close_engines(engines)
        raise
    return engines


def close_engines(engines: Mapping[Role, Engine]) -> None:
    """Release every model once."""
    for engine in {id(engine): engine for engine in engines.values()}.values():
        engine.close()
