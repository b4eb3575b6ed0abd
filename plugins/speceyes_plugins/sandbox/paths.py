"""Two names for one place: `/mnt/data/…` in the script's text, the session's folder on disk.

Thyme was trained to save under /mnt/data/temp_processed_images. A worker cannot mount that path
without privileges, so string literals that begin with /mnt/data are exchanged in the syntax tree
before a block runs, and the real folder is exchanged back in whatever the model gets to read. The
model thus sees the same text on every run and every machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from speceyes_plugins.sandbox.values import DATA, OUTPUT

SUFFIXES: Final = ("png", "jpg", "jpeg", "bmp", "webp", "gif", "tif", "tiff", "ppm", "pgm")
PICTURE_ENDS: Final = tuple(f".{suffix}" for suffix in SUFFIXES)
_SUFFIX: Final = re.compile(rf"\.(?:{'|'.join(SUFFIXES)})\b", re.IGNORECASE)
_BREAKS: Final = re.compile(r"[\s'\"`\[\](),]+")
_QUOTES: Final = "'\"`[](),"
_NAME: Final = re.compile(r"[\w.\-]+")


@dataclass(frozen=True, slots=True)
class Paths:
    """The places of one session."""

    picture: str
    """The input picture on disk."""
    picture_name: str
    """The input picture as the script's text has it."""
    data: str
    """The writable folder on disk, `/mnt/data` to the script."""

    @property
    def output(self) -> str:
        """Where results are to be saved, on disk."""
        return f"{self.data}/temp_processed_images"

    def make(self) -> None:
        """Make the folders, with a link to the picture under the script's name for it.

        Raises:
            OSError: there is no room, or no right to.
        """
        Path(self.output).mkdir(parents=True)
        Path(self.data + self.picture_name[len(DATA) :]).symlink_to(self.picture)

    def to_disk(self, text: str) -> str:
        """A string literal of the script, as the path it means."""
        if text == self.picture_name:
            return self.picture
        if text == DATA or text.startswith(f"{DATA}/"):
            return self.data + text[len(DATA) :]
        return text

    def to_script(self, text: str) -> str:
        """Printed text, as the script believes its paths to be."""
        return text.replace(self.picture, self.picture_name).replace(self.data, DATA)

    def printed(self, text: str) -> list[str]:
        """Paths of results named in printed text, relative to the data folder, in order.

        A path ends in a picture's suffix, at a space, a quote or a bracket. A line that is one
        path may hold spaces before its suffix, and without any it promises a picture whatever its
        suffix. A lone file name means the output folder, where the script runs. Takes time in
        proportion to the text.
        """
        found: list[str] = []
        for line in text.splitlines():
            bare = line.strip().strip(_QUOTES).rstrip("/")
            named = DATA in line or self.data in line
            words = _BREAKS.split(line) if named else ()
            inside = [path for word in words for path in self._within(word)]
            if inside:
                found += inside
            elif named and self._is_path(bare):
                found.append(self._relative(bare))
            elif bare.lower().endswith(PICTURE_ENDS) and bare[0] != "." and _NAME.fullmatch(bare):
                found.append(f"{OUTPUT[len(DATA) + 1 :]}/{bare}")
        picture = self._relative(self.picture_name)
        return [path for path in dict.fromkeys(found) if path != picture]

    def _within(self, word: str) -> Iterator[str]:
        """Paths of pictures in text without breaks, relative to the data folder."""
        places = re.compile(f"{re.escape(self.data)}/|{re.escape(DATA)}/")
        position = 0
        while begin := places.search(word, position):
            end = _SUFFIX.search(word, begin.end() + 1)
            if end is None:
                return
            position = end.end()
            yield self._relative(word[begin.start() : position])

    def _is_path(self, bare: str) -> bool:
        """Whether a line without quotes is one path below the data folder."""
        if not bare.startswith((f"{self.data}/", f"{DATA}/")) or any(c in bare for c in "'\"`,"):
            return False
        plain = bare.lower().endswith(PICTURE_ENDS) or not any(map(str.isspace, bare))
        return plain and bare not in (self.output, OUTPUT)

    def _relative(self, path: str) -> str:
        place = self.data if path.startswith(self.data + "/") else DATA
        return path[len(place) + 1 :].lstrip("/")
