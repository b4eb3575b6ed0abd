"""A sample's pictures: those that the run kept, or from its dataset, or cut out of that."""

from __future__ import annotations

import math
import re
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from speceyes_cli.core.chat import Picture
from speceyes_cli.core.errors import DataError, SpecEyesError
from speceyes_cli.core.pictures.boxes import Fractions
from speceyes_cli.core.pictures.loading import load_picture
from speceyes_cli.core.run.info import RunInfo
from speceyes_cli.core.run.kept_images import file_name, folder_name
from speceyes_cli.core.run.records import PictureNote, Record
from speceyes_cli.core.run.store import IMAGES
from speceyes_cli.core.samples import trajectory_key
from speceyes_cli.core.text import strip_control
from speceyes_cli.host.manager import Host
from speceyes_cli.host.run_samples import find_sample
from speceyes_cli.web.pictures import Encoded

SHOWN_SIDE = 1_400
"""Pixels of the longer side of a picture as it is first shown; zooming in fetches all of them."""
WHOLE_SIDE = 8_192
CROP_SIDE = 700
_KEPT = re.compile(r"\d+-(.*)\.png")
_LINE = 60


def picture_names(record: Record) -> list[str]:
    """Every picture that the models saw, in order, each once; the sample's own is the first."""
    notes = [
        part
        for phase in sorted(record.messages, key=_phase_order)
        for message in record.messages[phase]
        for part in message.content
        if isinstance(part, PictureNote)
    ]
    return list(dict.fromkeys(note.picture for note in notes))


def _phase_order(phase: str) -> int:
    return 1 if phase == "agent" else 0


class SamplePictures:
    """The pictures of one record."""

    def __init__(self, folder: Path, info: RunInfo, record: Record, host: Host) -> None:
        self._folder, self._info, self._record, self._host = folder, info, record, host

    def seen(self, name: str) -> Image.Image:
        """A picture that the models saw; raises `SpecEyesError` when it cannot be had."""
        kept = self._kept(name)
        if kept is not None:
            return load_picture(kept, name)
        names = picture_names(self._record)
        if names and name != names[0]:
            raise DataError("The run kept no pictures; `eval --keep-images` keeps them.")
        return self.original()

    def original(self) -> Image.Image:
        """The sample's own picture."""
        names = picture_names(self._record)
        kept = self._kept(names[0]) if names else None
        if kept is not None:
            return load_picture(kept, names[0])
        record = self._record
        key = record.split, record.sample_id
        picture: Picture = find_sample(self._info.config, self._host, key, record.position).picture
        return picture.open()

    def crop(self, box: Fractions) -> Image.Image:
        """What a box of the sample's picture holds, whole pixels of it."""
        image = self.original()
        sides = (
            math.floor(box.left * image.width),
            math.floor(box.top * image.height),
            math.ceil(box.right * image.width),
            math.ceil(box.bottom * image.height),
        )
        return image.crop(sides)

    def _kept(self, name: str) -> Path | None:
        """The file of a picture that the run kept."""
        record = self._record
        place = self._folder / IMAGES / folder_name(trajectory_key(record.split, record.sample_id))
        wanted = file_name(name)
        for file in sorted(place.glob("*.png")):
            found = _KEPT.fullmatch(file.name)
            inside = file.resolve().is_relative_to(self._folder.resolve())
            if found is not None and found[1] == wanted and inside:
                return file
        return None


def enlarge(image: Image.Image) -> Image.Image:
    """A small crop in whole multiples of its size, so that its pixels can be seen."""
    times = max(1, CROP_SIDE // (2 * max(image.size)))
    return image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)


def told_picture(sentence: str) -> Encoded:
    """A picture that says why there is none."""
    words = strip_control(sentence).replace("\n", " ").split(" ")
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) > _LINE:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word[:_LINE]}".strip()
    text = "".join(
        f'<text x="16" y="{32 + 20 * place}">{escape(line)}</text>'
        for place, line in enumerate(lines[:8])
    )
    height = 40 + 20 * min(8, len(lines))
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="520" height="{height}" '
        'font-family="sans-serif" font-size="14"><rect width="100%" height="100%" '
        f'fill="#f6f8fa"/>{text}</svg>'
    )
    return Encoded(svg.encode(), "image/svg+xml")


def try_picture(make: Any) -> Encoded:
    """What `make` gives, or a picture that says why it cannot be had."""
    try:
        found: Encoded = make()
    except SpecEyesError as error:
        return told_picture(f"The picture cannot be had: {error}")
    except Exception as error:  # noqa: BLE001 - a dataset's plugin raises what it likes
        return told_picture(f"The picture cannot be had ({type(error).__name__}).")
    return found
