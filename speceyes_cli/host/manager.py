"""The plugin manager: finds plugins, checks them, and answers names with specs."""

from __future__ import annotations

import difflib
import importlib.metadata
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

import pluggy

from speceyes_cli.core.errors import PluginError, SpecEyesError, UsageError
from speceyes_cli.host import hookspecs
from speceyes_cli.host.contracts import keep_to_contract
from speceyes_cli.host.offers import BrokenPlugin, Offer, Source, read_offers, told
from speceyes_cli.host.specs import (
    AgentSpec,
    CheckSpec,
    DatasetSpec,
    EngineSpec,
    GateSpec,
    JudgeSpec,
    MethodSpec,
)

if TYPE_CHECKING:  # `speceyes --help` needs no analysis
    from speceyes_cli.analysis.learned.gate_file import LearnedGate

ENTRY_POINTS = "speceyes"
NEAR_A_HOOK = 0.85
"""How alike (difflib) a function's name and a hook's are when the hook is meant."""


class Spec(Protocol):
    """What every spec has."""

    @property
    def name(self) -> str:
        """What the user calls it."""

    @property
    def summary(self) -> str:
        """One line about it."""


AnySpec = TypeVar("AnySpec", bound=Spec)


@dataclass(frozen=True, slots=True)
class Catalog(Generic[AnySpec]):
    """The specs of one kind, by name."""

    kind: str
    """"agent", "dataset", …"""
    specs: Mapping[str, AnySpec]
    sources: Mapping[str, Source]
    broken: tuple[BrokenPlugin, ...] = ()

    def get(self, name: str) -> AnySpec:
        """The spec of this name; `UsageError` with the known names and the nearest."""
        if name not in self.specs:
            raise UsageError(self._unknown(name))
        return self.specs[name]

    def __iter__(self) -> Iterator[AnySpec]:
        return iter(self.specs.values())

    def _unknown(self, name: str) -> str:
        sentence = f"There is no {self.kind} {name!r}; {known_names(name, self.specs)}"
        return " ".join([f"{sentence}.", *(str(plugin) for plugin in self.broken)])


@dataclass(frozen=True, slots=True)
class Host:
    """Everything the installed plugins offer."""

    hooks: pluggy.PluginManager
    agents: Catalog[AgentSpec]
    engines: Catalog[EngineSpec]
    datasets: Catalog[DatasetSpec]
    judges: Catalog[JudgeSpec]
    gates: Catalog[GateSpec]
    methods: Catalog[MethodSpec]
    checks: Catalog[CheckSpec]
    sources: Mapping[str, Source]
    """Where each plugin comes from, by its entry point's name."""
    broken: tuple[BrokenPlugin, ...]
    learned: Mapping[str, LearnedGate] = field(default_factory=dict)
    """The gates that were named by their files, by name; `gates` has them too."""

    def implementations(self, hook: str) -> list[HookImplementation]:
        """What every plugin has behind a hook."""
        return implementations(self.hooks, self.sources, hook)

    @property
    def catalogs(self) -> tuple[Catalog[Any], ...]:
        """All kinds."""
        return (
            self.methods,
            self.agents,
            self.engines,
            self.datasets,
            self.gates,
            self.judges,
            self.checks,
        )


def known_names(name: str, known: Iterable[str]) -> str:
    """The nearest of the known names, and all of them, as the end of a sentence."""
    names = sorted(known)
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    guess = f"did you mean {nearest[0]!r}? " if nearest else ""
    return f"{guess}known: {', '.join(names) or 'none'}"


def build_manager() -> pluggy.PluginManager:
    """A plugin manager that knows the hooks and holds no plugin."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def build_host() -> Host:
    """Load every installed plugin and gather what they offer.

    Raises `PluginError` for two plugins that offer the same name. A plugin that cannot be imported,
    and a hook that does not give what it should, are set aside in `Host.broken`.
    """
    manager = build_manager()
    sources, broken = load_entry_points(manager)
    return gather_host(manager, sources, broken)


def load_entry_points(
    manager: pluggy.PluginManager,
) -> tuple[dict[str, Source], tuple[BrokenPlugin, ...]]:
    """Register every entry point of the group; sources by plugin name, and what failed."""
    sources: dict[str, Source] = {}
    broken = []
    for entry in sorted(importlib.metadata.entry_points(group=ENTRY_POINTS)):
        source = Source(entry.name, _distribution(entry))
        if entry.name in sources:
            if sources[entry.name] == source:  # the same distribution found twice on the path
                continue
            raise PluginError(
                f"Two plugins are called {entry.name!r}: one of "
                f"{sources[entry.name].distribution}, one of {source.distribution}; "
                "uninstall one of them."
            )
        try:
            plugin = entry.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin raises while importing
            broken.append(BrokenPlugin(source, told(error, entry.module.partition(".")[0])))
            continue
        sources[entry.name] = source
        try:
            manager.register(plugin, name=entry.name)
        except pluggy.PluginValidationError as error:
            if manager.get_name(plugin) is not None:  # pluggy before 1.7 keeps what it refused
                manager.unregister(plugin)
            broken.append(BrokenPlugin(source, _on_one_line(error).rstrip("."), "its hooks"))
        except ValueError:
            other = sources[str(manager.get_name(plugin))]
            reason = f"it is the module that plugin {other.plugin!r} of {other.distribution} is"
            broken.append(BrokenPlugin(source, reason, "its entry point"))
    return sources, tuple(broken)


def gather_host(
    manager: pluggy.PluginManager,
    sources: Mapping[str, Source],
    broken: tuple[BrokenPlugin, ...] = (),
) -> Host:
    """Check the registered plugins' hooks and gather what they offer."""
    faults = [*broken, *_unknown_hooks(manager, sources)]

    def offered(kind: str, hook: str, expected: type[AnySpec]) -> dict[str, Offered[AnySpec]]:
        return _gather(kind, hook, expected, manager, sources, faults)

    agents = offered("agent", "speceyes_agents", AgentSpec)
    engines = offered("engine", "speceyes_engines", EngineSpec)
    datasets = offered("dataset", "speceyes_datasets", DatasetSpec)
    judges = offered("judge", "speceyes_judges", JudgeSpec)
    gates = offered("gate", "speceyes_gates", GateSpec)
    methods = offered("method", "speceyes_methods", MethodSpec)
    checks = offered("check", "speceyes_checks", CheckSpec)
    found = tuple(faults)
    return Host(
        hooks=manager,
        agents=_catalog("agent", agents, found),
        engines=_catalog("engine", engines, found),
        datasets=_catalog("dataset", datasets, found),
        judges=_catalog("judge", judges, found),
        gates=_catalog("gate", gates, found),
        methods=_catalog("method", methods, found),
        checks=_catalog("check", checks, found),
        sources=sources,
        broken=found,
    )


def package_of(plugin: object) -> str:
    """The top-level package that a plugin, a module as a rule, belongs to."""
    module = plugin.__name__ if inspect.ismodule(plugin) else type(plugin).__module__
    return module.partition(".")[0]


@dataclass(frozen=True, slots=True)
class HookImplementation:
    """One plugin's function behind a hook."""

    source: Source
    hook: str
    package: str
    function: Callable[..., Any]
    arguments: tuple[str, ...]
    """The names of the hook's arguments that it takes."""

    def call(self, **arguments: Any) -> BrokenPlugin | None:
        """Call it; gives what is wrong when it raises anything but a `SpecEyesError`."""
        try:
            self.function(*(arguments[name] for name in self.arguments))
        except SpecEyesError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises
            reason = f"it raised {told(error, self.package)}"
            return BrokenPlugin(self.source, reason, self.hook)
        return None


def implementations(
    manager: pluggy.PluginManager, sources: Mapping[str, Source], hook: str
) -> list[HookImplementation]:
    """What every plugin has behind a hook, in the order of registration."""
    return [
        HookImplementation(
            source=sources.get(found.plugin_name, Source(found.plugin_name, found.plugin_name)),
            hook=hook,
            package=package_of(found.plugin),
            function=found.function,
            arguments=tuple(found.argnames),
        )
        for found in getattr(manager.hook, hook).get_hookimpls()
    ]


class Offered(NamedTuple, Generic[AnySpec]):
    """A spec and who offers it."""

    spec: AnySpec
    offer: Offer


def _catalog(
    kind: str, offered: Mapping[str, Offered[AnySpec]], broken: tuple[BrokenPlugin, ...]
) -> Catalog[AnySpec]:
    specs = {name: spec for name, (spec, _) in offered.items()}
    return Catalog(kind, specs, {name: one.offer.source for name, one in offered.items()}, broken)


def _gather(
    kind: str,
    hook: str,
    expected: type[AnySpec],
    manager: pluggy.PluginManager,
    sources: Mapping[str, Source],
    faults: list[BrokenPlugin],
) -> dict[str, Offered[AnySpec]]:
    """What every plugin offers through a hook, by name; one that is wrong is added to `faults`."""
    gathered: dict[str, Offered[AnySpec]] = {}
    for implementation in implementations(manager, sources, hook):
        source, package = implementation.source, implementation.package
        given = read_offers(implementation.function, expected, package)
        if isinstance(given, str):
            faults.append(BrokenPlugin(source, given, hook))
            continue
        for spec in given:
            if spec.name in gathered:
                first = gathered[spec.name].offer.source
                if first == source:
                    faults.append(BrokenPlugin(source, f"it yields two called {spec.name!r}", hook))
                    break
                raise PluginError(
                    f"Two plugins offer the {kind} {spec.name!r}: "
                    f"{first.plugin!r} of {first.distribution} and "
                    f"{source.plugin!r} of {source.distribution}; uninstall one of them."
                )
            offer = Offer(source, package, hook, kind, spec.name)
            gathered[spec.name] = Offered(keep_to_contract(spec, offer), offer)
    return gathered


def _unknown_hooks(
    manager: pluggy.PluginManager, sources: Mapping[str, Source]
) -> Iterator[BrokenPlugin]:
    """Functions that are meant as hooks and never called: misspelt ones, and unmarked ones."""
    known = [name for name in vars(hookspecs) if name.startswith(f"{hookspecs.PROJECT}_")]
    for name, plugin in manager.list_name_plugin():
        if plugin is None:
            continue
        source = sources.get(name, Source(name, name))
        marked = {caller.name for caller in manager.get_hookcallers(plugin) or ()}
        for hook in sorted(marked - set(known)):
            reason = f"there is no such hook; {known_names(hook, known)}"
            yield BrokenPlugin(source, reason, hook)
        for hook, value in getattr(plugin, "__dict__", {}).items():
            own = inspect.isfunction(value) and value.__module__ == getattr(plugin, "__name__", "")
            near = difflib.get_close_matches(hook, known, n=1, cutoff=NEAR_A_HOOK)
            if own and near and hook not in marked:
                reason = "it is not marked with @hookimpl, so it is not used"
                yield BrokenPlugin(source, reason, hook)


def _on_one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _distribution(entry: importlib.metadata.EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown distribution"
