"""What is asked about a scene, and the right answer."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from speceyes_datasets.needle.scene import (
    CELLS,
    COLOURS,
    LARGE_SHARE,
    Disc,
    Scene,
    make_scene,
)

Split = Literal["direct_attributes", "relative_position", "descriptions"]
Kind = Literal["dot_colour", "dot_side", "disc", "dot", "row"]

KINDS: Mapping[Split, tuple[Kind, ...]] = {
    "direct_attributes": ("dot_colour",),
    "relative_position": ("dot_side",),
    "descriptions": ("disc", "dot", "row"),
}
SPLITS = tuple(KINDS)
ROWS = ("top", "middle", "bottom")


class Question(NamedTuple):
    """A question with its right answer."""

    text: str
    options: tuple[str, ...]
    """Empty where the answer is free text of several words."""
    answer: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A scene and a question about one of its discs."""

    scene: Scene
    target: Disc
    question: str
    options: tuple[str, ...]
    answer: str


def choose_kind(rng: random.Random, split: Split) -> Kind:
    """A kind of the split's."""
    kinds = KINDS[split]
    return rng.choice(kinds) if len(kinds) > 1 else kinds[0]


def ask_about(rng: random.Random, kind: Kind, scene: Scene, target: Disc) -> Question:
    """A question of this kind about one disc; options are shuffled."""
    if kind == "dot_colour":
        others = [c for c in COLOURS if c not in (target.colour, target.dot_colour)]
        options = [target.dot_colour, *rng.sample(others, 3)]
        rng.shuffle(options)
        text = f"What colour is the dot on the {target.colour} disc?"
        return Question(text, tuple(options), target.dot_colour)
    if kind == "dot_side":
        options = ["left", "right"]
        rng.shuffle(options)
        text = f"On which side of the {target.colour} disc is its dot?"
        return Question(text, tuple(options), target.dot_side)
    return describe(kind, scene, target)


def describe(kind: Kind, scene: Scene, target: Disc) -> Question:
    """A question that is answered in several words.

    Of a small disc some can be read without a zoom, its size, and others cannot: its dot.
    """
    colour = target.colour
    if kind == "disc":
        text = f"Describe the {colour} disc: its size, the colour of its dot, and the side."
        size = "large" if target.large else "small"
        answer = f"{size}, {target.dot_colour} dot on the {target.dot_side}"
    elif kind == "dot":
        text = f"What colour is the dot on the {colour} disc, and on which side is it?"
        answer = f"{target.dot_colour}, {target.dot_side}"
    else:
        row = target.cell // CELLS
        text = f"What is in the {ROWS[row]} row, from left to right?"
        answer = ", ".join(scene.named(row * CELLS + column) for column in range(CELLS))
    return Question(text, (), answer)


def make_problem(split: Split, seed: int) -> Problem:
    """The problem of a seed; the same on every machine."""
    rng = random.Random(f"{split}/{seed}")  # noqa: S311 - reproducible, not secret
    scene, target = make_scene(rng, target_large=rng.random() < LARGE_SHARE)
    kind = choose_kind(rng, split)
    return Problem(scene, target, *ask_about(rng, kind, scene, target))
