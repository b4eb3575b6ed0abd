"""Loaded models, kept from one run to the next for as long as a later run needs them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any, Self

from speceyes_cli.core.call_cache.engine import CachedEngine
from speceyes_cli.core.call_cache.store import CallCache
from speceyes_cli.core.chat import Engine, Role
from speceyes_cli.core.run.info import RunConfig, library_versions
from speceyes_cli.core.run.tags import tags_of
from speceyes_cli.host.planning.models import Load, load_engines
from speceyes_cli.host.plugin_options import deciding


class EnginePool:
    """The engines of one command; use as a context."""

    def __init__(self, announce: Callable[[str], None], cache: CallCache | None = None) -> None:
        self._announce = announce
        self._cache = cache
        self._loaded: dict[Load, Engine] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._keep(())

    def take(self, loads: Mapping[Role, Load], later: Iterable[Load] = ()) -> dict[Role, Engine]:
        """The engines of one run; those that neither it nor a later one needs are closed first."""
        self._keep({*loads.values(), *later})
        missing = {role: load for role, load in loads.items() if load not in self._loaded}
        for role, engine in load_engines(missing, self._announce).items():
            self._loaded[loads[role]] = self._behind_cache(loads[role], engine)
        return {role: self._loaded[load] for role, load in loads.items()}

    def _keep(self, wanted: Iterable[Load]) -> None:
        for load in set(self._loaded) - set(wanted):
            self._loaded.pop(load).close()

    def _behind_cache(self, load: Load, engine: Engine) -> Engine:
        if self._cache is None:
            return engine
        return CachedEngine(engine, self._cache, identity(load, engine))


def identity(load: Load, engine: Engine) -> dict[str, Any]:
    """All of a loaded model that can change a reply or its time; the K of a call is in its key."""
    tags, role = tags_of(RunConfig), load.options.role
    options: dict[str, Any] = {}
    for field in fields(load.options):
        name = config_field(field.name, role)
        if name in tags and tags[name].decides != "neither" and tags[name].part != "gate":
            options[name] = getattr(load.options, field.name)
    spec, values = load.spec, load.options.options
    own = {
        "answer_options": deciding(spec.options, values, "answers"),
        "time_options": deciding(spec.options, values, "time"),
    }
    return {
        "engine": load.spec.name,
        "role": role,
        "options": options | own,
        "model": dict(engine.describe()),
        "versions": library_versions(),
    }


def config_field(name: str, role: Role) -> str:
    """The field of `RunConfig` that an engine's option of this name comes from."""
    own = {"model": role, "min_pixels": f"{role}_min_pixels", "max_pixels": f"{role}_max_pixels"}
    return own.get(name, name)
