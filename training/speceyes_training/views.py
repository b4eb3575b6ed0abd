"""What a model sees of a scene, and what each of its visual tokens should know about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from speceyes_datasets.needle.scene import COLOURS, SIDE, Disc, Scene, draw

from speceyes_training.architecture import FRAME, MERGE, PATCH

Box = tuple[int, int, int, int]

UNKNOWN = -100  # torch's ignore_index
READABLE_DOT = 1.8  # radius in pixels of the view under which a dot's colour is not asked for


@dataclass(frozen=True, slots=True)
class View:
    """One picture as the models see it, with a label for every visual token."""

    pixels: npt.NDArray[np.uint8]
    """[side, side, 3]."""
    classes: npt.NDArray[np.int64]
    """[tokens, 4]: disc colour (0 none, 1..8), large, dot colour, dot on the right."""
    offsets: npt.NDArray[np.float32]
    """[tokens, 2]: from the token's centre to the disc's, in token widths; NaN without a disc."""


def multiple_of_28(length: float) -> int:
    """The side that the zoom tool gives a crop."""
    return max(4, round(length / 28)) * 28


def render(
    scene: Scene, box: Box | None = None, *, by_code: bool = False, patch: int = PATCH
) -> View:
    """Draw the scene, or a box of it in original pixels, as a model with such patches sees it."""
    picture = draw(scene, box)
    if box is not None and not by_code:
        width, height = box[2] - box[0], box[3] - box[1]
        picture = picture.resize(
            (multiple_of_28(width), multiple_of_28(height)), Image.Resampling.BICUBIC
        )
    picture = picture.resize((FRAME, FRAME), Image.Resampling.BICUBIC)
    classes, offsets = label(scene.discs, box or (0, 0, SIDE, SIDE), patch)
    return View(np.asarray(picture), classes, offsets)


def label(
    discs: tuple[Disc, ...], box: Box, patch: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Labels of every visual token, row by row: the nearest disc that reaches into it."""
    token = patch * MERGE
    count = FRAME // token
    scale = FRAME / (box[2] - box[0])
    classes = np.full((count, count, 4), UNKNOWN, np.int64)
    classes[..., 0] = 0
    offsets = np.full((count, count, 2), np.nan, np.float32)
    best = np.full((count, count), np.inf)
    centres = (np.arange(count) + 0.5) * token
    for disc in discs:
        x, y = (disc.x - box[0]) * scale, (disc.y - box[1]) * scale
        radius = disc.radius * scale
        dx, dy = x - centres[None, :], y - centres[:, None]
        outside = np.hypot(
            np.maximum(np.abs(dx) - token / 2, 0), np.maximum(np.abs(dy) - token / 2, 0)
        )
        distance = np.hypot(dx, dy)
        mine = (outside < 0.8 * radius) & (distance < best)
        best[mine] = distance[mine]
        readable = disc.dot_radius * scale >= READABLE_DOT
        classes[mine] = (
            COLOURS.index(disc.colour) + 1,
            int(disc.large),
            COLOURS.index(disc.dot_colour) if readable else UNKNOWN,
            int(disc.dot_side == "right") if readable else UNKNOWN,
        )
        offsets[mine] = np.stack(np.broadcast_arrays(dx, dy), -1)[mine] / token
    return classes.reshape(-1, 4), offsets.reshape(-1, 2)
