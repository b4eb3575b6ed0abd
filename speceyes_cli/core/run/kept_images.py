"""Pictures of a run, kept only when the user asks for them."""

from __future__ import annotations

import hashlib
import logging
import re
from pathlib import Path

from speceyes_cli.core.chat import Picture, chat_pictures
from speceyes_cli.core.errors import PictureError
from speceyes_cli.core.scheduling.trajectories import Asked, Finished

log = logging.getLogger(__name__)


def keep_images(folder: Path, finished: Finished) -> None:
    """Write every picture a trajectory's models saw as PNG, under the trajectory's own folder.

    A picture that cannot be opened is left out: the record tells of it.
    """
    seen: dict[int, Picture] = {}
    for event in finished.events:
        if isinstance(event, Asked):
            seen |= {id(picture): picture for picture in chat_pictures(event.ask.messages)}
    place = folder / folder_name(finished.key)
    for number, picture in enumerate(seen.values()):
        try:
            image = picture.open()
        except PictureError as error:
            log.warning("%s", error)
            continue
        place.mkdir(parents=True, exist_ok=True)
        image.save(place / f"{number:02d}-{file_name(picture.name)}.png")


def folder_name(key: str) -> str:
    """The folder of a trajectory's pictures: readable, and no two keys share one."""
    name = file_name(key)
    if "_" not in key and name == key.replace("/", "_", 1):
        return name
    return f"{name}-{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def file_name(text: str) -> str:
    """The text as a file name that stays within its folder."""
    return re.sub(r"[^\w.-]+", "_", text).strip(".")[:100] or "_"
