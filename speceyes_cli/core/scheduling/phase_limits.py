"""How many trajectories may be in a phase at once."""

from __future__ import annotations

from collections.abc import Mapping


class PhaseLimits:
    """Lets trajectories into limited phases; one that is in stays in until it leaves them all."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        self._limits = dict(limits)
        self._inside: dict[str, set[str]] = {phase: set() for phase in limits}

    def enter(self, key: str, phase: str) -> bool:
        """Whether the trajectory is in the phase, or there is room for it, which it then takes."""
        inside = self._inside.get(phase)
        if inside is None or key in inside:
            return True
        if len(inside) >= self._limits[phase]:
            return False
        inside.add(key)
        return True

    def leave(self, key: str) -> None:
        """The trajectory has ended."""
        for inside in self._inside.values():
            inside.discard(key)
