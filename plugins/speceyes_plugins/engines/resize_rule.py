"""How large a remote model sees a picture: its family's resize rule, found by counting tokens."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from speceyes_cli.plugin import Size

__all__ = ["Bounds", "ResizeRule", "find_rule"]

FACTORS = (28, 32)
"""Qwen2.5-VL and Qwen3-VL: patch x merge, in pixels (14 x 2 and 16 x 2)."""
LONGEST = 200
"""Qwen's processors refuse a picture whose one side is more than this many times the other."""


class ResizeRule(NamedTuple):
    """Sides are multiples of `factor`, the area lies between the bounds, in pixels."""

    factor: int
    min_pixels: int
    max_pixels: int

    def frame(self, size: Size) -> Size:
        """The size at which a picture is seen; raises ValueError for one that is too thin.

        The rule of Qwen's image processors: round each side, then shrink or enlarge both alike.
        """
        width, height = size
        if max(size) > LONGEST * min(size):
            raise ValueError(f"one side is more than {LONGEST} times the other")
        across, down = (round(side / self.factor) * self.factor for side in size)
        if across * down > self.max_pixels:
            scale = math.sqrt(width * height / self.max_pixels)
            across, down = (
                max(self.factor, math.floor(side / scale / self.factor) * self.factor)
                for side in size
            )
        elif across * down < self.min_pixels:
            scale = math.sqrt(self.min_pixels / (width * height))
            across, down = (math.ceil(side * scale / self.factor) * self.factor for side in size)
        return Size(across, down)

    def tokens(self, size: Size) -> int:
        """Visual tokens of a picture: one for each square of `factor` pixels."""
        across, down = self.frame(size)
        return across * down // self.factor**2


class Bounds(NamedTuple):
    """The picture areas a user asked for, in pixels; None: the server's own."""

    min_pixels: int | None
    max_pixels: int | None


def find_rule(
    counts: Mapping[Size, int], bounds: Bounds, factors: Sequence[int] = FACTORS
) -> ResizeRule | None:
    """The one rule that explains the visual tokens counted for each picture size.

    Bounds that were not asked for are read off the smallest and the largest picture: what the
    server made of them is the least and the most it shows. None when no rule fits, or several do.
    """
    ordered = sorted(counts, key=lambda size: size.width * size.height)
    fitting = []
    for factor in factors:
        least, most = (counts[size] * factor**2 for size in (ordered[0], ordered[-1]))
        # A pixel of slack, since areas are multiples of many and roots are rounded.
        rule = ResizeRule(factor, bounds.min_pixels or least - 1, bounds.max_pixels or most + 1)
        if all(rule.tokens(size) == count for size, count in counts.items()):
            fitting.append(rule)
    return fitting[0] if len(fitting) == 1 else None
