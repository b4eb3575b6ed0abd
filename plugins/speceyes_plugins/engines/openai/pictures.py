"""Pictures as a request carries them, brought to the model's frame and encoded once."""

from __future__ import annotations

import base64
import io
import threading
from typing import NamedTuple

from PIL import Image

from speceyes_cli.plugin import Picture, PictureError, Size
from speceyes_plugins.engines.resize_rule import ResizeRule

COMPRESSION = 1  # of 9: PNG loses nothing, and more effort saves a tenth of the bytes at most


class ShownPicture(NamedTuple):
    """A picture on the wire."""

    url: str
    """A data URL."""
    frame: Size
    """The size at which the model sees it; where the server's rule is not known, that of what it is
    sent."""


class PictureWriter:
    """Encodes each picture of a trajectory once and keeps it until the trajectory is forgotten."""

    def __init__(self, rule: ResizeRule | None) -> None:
        self._rule = rule
        self._kept: dict[str, dict[Picture, ShownPicture]] = {}
        self._lock = threading.Lock()

    def show(self, picture: Picture, trajectory: str) -> ShownPicture:
        """The picture as a data URL; raises what opening it raises."""
        with self._lock:
            kept = self._kept.get(trajectory, {}).get(picture)
        if kept is not None:
            return kept
        shown = write_picture(picture, self._rule)
        if trajectory:
            with self._lock:
                self._kept.setdefault(trajectory, {})[picture] = shown
        return shown

    def forget(self, trajectory: str) -> None:
        """Drop a trajectory's pictures."""
        with self._lock:
            self._kept.pop(trajectory, None)


def write_picture(picture: Picture, rule: ResizeRule | None) -> ShownPicture:
    """Resize to the frame the rule gives, where the server then finds nothing left to resize.

    It would where the areas allowed lie so close that a frame falls below the least: such a picture
    goes as it is.
    """
    image = picture.open().convert("RGB")
    if rule is None:
        return ShownPicture(data_url(image), Size(*image.size))
    try:
        frame = rule.frame(Size(*image.size))
    except ValueError as error:
        raise PictureError(f"{picture.name}: {error}.") from None
    settled = rule.frame(frame) == frame
    return ShownPicture(data_url(resize(image, frame) if settled else image), frame)


def resize(image: Image.Image, frame: Size) -> Image.Image:
    """The picture at that size, pixel for pixel as Qwen's own image processor makes it."""
    if image.size == frame:
        return image
    from torchvision.transforms.v2 import functional  # noqa: PLC0415 - heavy

    pixels = functional.pil_to_tensor(image)
    smooth = functional.InterpolationMode.BICUBIC
    resized = functional.resize(
        pixels, [frame.height, frame.width], interpolation=smooth, antialias=True
    )
    return Image.fromarray(resized.permute(1, 2, 0).numpy())


def data_url(image: Image.Image) -> str:
    """The picture as PNG within a URL."""
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=COMPRESSION)
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode('ascii')}"
