"""What a model sees of a scene, and what each of its visual tokens should know about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from speceyes_datasets.needle.scene import COLOURS, SIDE, Disc, Scene, draw
from speceyes_plugins.agents.zoom import CropSizes, crop_size
from speceyes_plugins.engines.resize_rule import ResizeRule

from speceyes_cli.core.chat import Size
from speceyes_training.architecture import MERGE, WIDE, Shape, pixel_bounds

Box = tuple[int, int, int, int]

UNKNOWN = -100  # torch's ignore_index
READABLE_DOT = 1.8  # radius in pixels of the view under which a dot's colour is not asked for


@dataclass(frozen=True, slots=True)
class View:
    """One picture as the models see it, with a label for every visual token."""

    pixels: npt.NDArray[np.uint8]
    """[height, width, 3]."""
    classes: npt.NDArray[np.int64]
    """[tokens, 4]: disc colour (0 none, 1..8), large, dot colour, dot on the right."""
    offsets: npt.NDArray[np.float32]
    """[tokens, 2]: from the token's centre to the disc's, in token sides; NaN without a disc."""

    @property
    def tokens(self) -> int:
        """Visual tokens of the picture."""
        return len(self.classes)


def render(
    scene: Scene, box: Box | None = None, *, resized: CropSizes | None = None, shape: Shape = WIDE
) -> View:
    """Draw the scene, or a box of it in original pixels, as a model of that shape sees it.

    `resized` says to what a tool resizes the crop, None that it does not. A crop that is not quite
    square can come to a frame that is not square.
    """
    picture = draw(scene, box)
    if resized is not None:
        picture = picture.resize(crop_size(picture.size, resized), Image.Resampling.BICUBIC)
    frame = ResizeRule(shape.patch * MERGE, *pixel_bounds(shape.frame)).frame(Size(*picture.size))
    picture = picture.resize(frame, Image.Resampling.BICUBIC)
    classes, offsets = label(scene.discs, box or (0, 0, SIDE, SIDE), frame, shape.patch)
    return View(np.array(picture), classes, offsets)


def label(
    discs: tuple[Disc, ...], box: Box, frame: Size, patch: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Labels of every visual token, row by row: the nearest disc that reaches into it.

    `box` is in original pixels, `frame` the size at which it is seen.
    """
    token = patch * MERGE
    columns, rows = frame.width // token, frame.height // token
    across, down = (box[2] - box[0]) / columns, (box[3] - box[1]) / rows  # of a token, original
    scale = min(token / across, token / down)
    classes = np.full((rows, columns, 4), UNKNOWN, np.int64)
    classes[..., 0] = 0
    offsets = np.full((rows, columns, 2), np.nan, np.float32)
    best = np.full((rows, columns), np.inf)
    for disc in discs:
        dx = disc.x - box[0] - (np.arange(columns)[None, :] + 0.5) * across
        dy = disc.y - box[1] - (np.arange(rows)[:, None] + 0.5) * down
        outside = np.hypot(
            np.maximum(np.abs(dx) - across / 2, 0), np.maximum(np.abs(dy) - down / 2, 0)
        )
        distance = np.hypot(dx, dy)
        mine = (outside < 0.8 * disc.radius) & (distance < best)
        best[mine] = distance[mine]
        readable = disc.dot_radius * scale >= READABLE_DOT
        classes[mine] = (
            COLOURS.index(disc.colour) + 1,
            int(disc.large),
            COLOURS.index(disc.dot_colour) if readable else UNKNOWN,
            int(disc.dot_side == "right") if readable else UNKNOWN,
        )
        offsets[mine] = np.stack(np.broadcast_arrays(dx / across, dy / down), -1)[mine]
    return classes.reshape(-1, 4), offsets.reshape(-1, 2)
