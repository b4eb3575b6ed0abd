"""What goes into the sandbox and what comes out: plain frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from PIL import Image

State = Literal["persist", "fresh"]
Backend = Literal["auto", "unsafe-subprocess"]

DATA: Final = "/mnt/data"
"""Where the script believes its files to be (Thyme's training format); see `paths.Paths`."""
OUTPUT: Final = DATA + "/temp_processed_images"
PICTURE: Final = DATA + "/input.jpg"
"""The picture's path as the script and the model know it."""


def further_picture(place: int) -> str:
    """The path of another picture of the conversation, by its place in it, from 0."""
    return f"{DATA}/picture_{place + 1}.png"


Kind = Literal[
    "source_too_long",
    "syntax",
    "exception",
    "memory",
    "bad_box",
    "no_output",
    "missing_file",
    "not_a_file",
    "not_a_picture",
    "picture_too_small",
    "picture_too_large",
    "too_many_pictures",
    "timeout",
    "disk_quota",
    "crashed",
    "protocol",
]


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """What one worker may use. Defaults: measured on crop, rotate and enhance scripts."""

    seconds: float = 10.0
    """Wall time of a block, and again of decoding its pictures; then the worker is killed."""
    cpu_seconds: int = 60
    """Processor time of a worker over all its blocks, should the program itself hang."""
    memory: int = 2 << 30
    """Bytes of address space that a block may take beyond what the warm interpreter has."""
    decoder_memory: int = 3 << 29
    """The same for decoding its pictures; a WebP of 50 megapixels takes 1.2 GiB."""
    total_memory: int = 8 << 30
    """Bytes that all sessions may hold together; see `parent.memory`."""
    file_bytes: int = 64 << 20
    folder_bytes: int = 256 << 20
    """All files of a session together; looked at ten times a second."""
    folder_entries: int = 4096
    descriptors: int = 64
    source_bytes: int = 64 << 10
    text_bytes: int = 64 << 10
    """Printed text kept of a block."""
    pixels: int = 50_000_000
    """Of all pictures of a block together."""
    pictures: int = 16
    smallest_side: int = 4
    """A picture with a shorter side shows nothing to a model."""
    widest_ratio: int = 200
    """Qwen's image processor refuses pictures whose sides differ by this factor or more."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a block gave no usable result; `text` is meant for the model."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class BlockResult:
    """What one block gave back."""

    ok: bool
    stdout: str
    """Printed text without control characters; paths read as the script believes them to be."""
    images: tuple[Image.Image, ...]
    """RGB pictures whose paths were printed, in that order; present ones even after a failure."""
    error: Failure | None
    seconds: float
    repairs: tuple[str, ...]
    """What was mended before or while running; for the record, not for the model."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of isolation as found on this machine."""

    name: str
    found: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attack that was really run."""

    name: str
    stopped: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    """What `speceyes doctor` shows about the sandbox."""

    usable: bool
    layers: tuple[Layer, ...]
    attempts: tuple[Attempt, ...]
    problem: str | None
    """Why the sandbox refuses here; None when it is usable."""
