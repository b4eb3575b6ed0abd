"""Engines that share workers because they never compute at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from speceyes_cli.core.chat import Engine, Role
from speceyes_cli.core.scheduling.workers import Workers

BATCHES_AHEAD = 2
"""Live trajectories per place in a batch: enough to fill one while another computes."""


@dataclass(slots=True)
class EngineGroup:
    """Engines that never compute at once, and the workers they share."""

    engines: dict[Role, Engine]
    workers: Workers
    idle: int


def group_engines(
    engines: Mapping[Role, Engine], make_workers: Callable[[int, str], Workers]
) -> list[EngineGroup]:
    """One group of workers for each `Engine.group`, as many as its most careful engine takes."""
    by_name: dict[str, dict[Role, Engine]] = {}
    for role, engine in engines.items():
        by_name.setdefault(engine.group, {})[role] = engine
    groups = []
    for name, members in by_name.items():
        count = min(engine.workers for engine in members.values())
        groups.append(EngineGroup(members, make_workers(count, f"speceyes-{name}"), count))
    return groups


def window_for(engines: Mapping[Role, Engine]) -> int:
    """How many trajectories keep every engine busy."""
    return BATCHES_AHEAD * sum(engine.max_batch * engine.workers for engine in engines.values())
