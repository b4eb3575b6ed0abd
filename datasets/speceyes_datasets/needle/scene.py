"""Procedural scenes: discs with a dot each, some large, some too small to read without a zoom."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageDraw

SIDE = 1024  # pixels; the embedded models see it at 160 or 168, where a small disc's dot is lost
CELLS = 3  # discs sit in a 3 x 3 grid, at most one a cell
PALETTE = {
    "red": (220, 30, 30),
    "green": (20, 160, 40),
    "blue": (30, 50, 220),
    "yellow": (240, 220, 30),
    "cyan": (40, 210, 220),
    "pink": (240, 80, 220),
    "black": (10, 10, 10),
    "white": (250, 250, 250),
}
COLOURS = tuple(PALETTE)
NOTHING = "nothing"
LARGE_SHARE = 0.6  # of questions ask about a large disc
LARGE_OTHERS = 0.5  # of the other discs are large

Side = Literal["left", "right"]


@dataclass(frozen=True, slots=True)
class Disc:
    """One disc; lengths in pixels of the original picture."""

    cell: int
    """0..8, row by row."""
    colour: str
    large: bool
    x: float
    y: float
    radius: float
    dot_colour: str
    dot_side: Side
    dot_radius: float

    @property
    def dot_x(self) -> float:
        """The dot's centre; it keeps clear of the disc's middle."""
        offset = 0.45 * self.radius
        return self.x - offset if self.dot_side == "left" else self.x + offset


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture before it is drawn, with no two discs of one colour."""

    discs: tuple[Disc, ...]
    shades: tuple[int, int]
    """Grey at the top and at the bottom."""

    def named(self, cell: int) -> str:
        """The colour of the disc in a cell of the grid, or "nothing"."""
        return next((disc.colour for disc in self.discs if disc.cell == cell), NOTHING)


def make_disc(rng: random.Random, cell: int, colour: str, *, large: bool) -> Disc:
    """Place one disc inside its cell."""
    pitch = SIDE / CELLS
    radius = rng.uniform(100, 130) if large else rng.uniform(20, 24)
    slack = pitch / 2 - radius - 6
    row, column = divmod(cell, CELLS)
    return Disc(
        cell=cell,
        colour=colour,
        large=large,
        x=(column + 0.5) * pitch + rng.uniform(-slack, slack),
        y=(row + 0.5) * pitch + rng.uniform(-slack, slack),
        radius=radius,
        dot_colour=rng.choice([c for c in COLOURS if c != colour]),
        dot_side=rng.choice(["left", "right"]),
        dot_radius=0.3 * radius if large else 2.4,
    )


def make_scene(rng: random.Random, *, target_large: bool) -> tuple[Scene, Disc]:
    """Five or six discs, the first of which is the target."""
    count = rng.choice([5, 6])
    cells = rng.sample(range(CELLS * CELLS), count)
    colours = rng.sample(COLOURS, count)
    sizes = [target_large] + [rng.random() < LARGE_OTHERS for _ in range(count - 1)]
    discs = tuple(
        make_disc(rng, cell, colour, large=large)
        for cell, colour, large in zip(cells, colours, sizes, strict=True)
    )
    return Scene(discs, (rng.randint(105, 150), rng.randint(105, 150))), discs[0]


def draw(scene: Scene, box: tuple[int, int, int, int] | None = None) -> Image.Image:
    """The scene, or the region `box` (left, top, right, bottom) of it, as an RGB picture."""
    left, top, right, bottom = box or (0, 0, SIDE, SIDE)
    first, last = scene.shades
    column = Image.new("L", (1, bottom - top))
    column.putdata([round(first + (last - first) * y / SIDE) for y in range(top, bottom)])
    picture = column.convert("RGB").resize((right - left, bottom - top), Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(picture)
    for disc in scene.discs:
        y = disc.y - top
        pen.circle((disc.x - left, y), disc.radius, fill=PALETTE[disc.colour])
        pen.circle((disc.dot_x - left, y), disc.dot_radius, fill=PALETTE[disc.dot_colour])
    return picture
