"""The samples that a run got wrong, the most telling ones first."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from speceyes_cli.core.errors import PictureError, SpecEyesError
from speceyes_cli.core.pictures.loading import load_picture
from speceyes_cli.core.run.kept_images import folder_name
from speceyes_cli.core.run.records import MessageNote, PictureNote, Record
from speceyes_cli.core.run.store import IMAGES
from speceyes_cli.core.samples import Sample, trajectory_key

THUMBNAIL = 360
"""Pixels of a thumbnail's longer side."""
JPEG_QUALITY = 80
MAX_KEPT = 4
"""Pictures of one sample that are shown, where the run kept them."""
MAX_TEXT = 4_000
"""Characters of one turn that are shown."""

OpenSplit = Callable[[str], Iterable[Sample]]
"""The samples of a split, in the order in which the run saw them."""


class Thumbnail(NamedTuple):
    """A small JPEG within the page."""

    uri: str
    width: int
    height: int
    label: str


class Turn(NamedTuple):
    """One message as text; pictures by name and size."""

    role: str
    text: str


class HardSample(NamedTuple):
    """A sample worth a look, and all that is known of it."""

    record: Record
    why: str
    pictures: tuple[Thumbnail, ...]
    picture_note: str
    """Why there is no picture; empty when there is one."""
    turns: tuple[Turn, ...]


def hardest_records(records: Iterable[Record], count: int) -> list[tuple[Record, str]]:
    """Wrong answers and why they are shown: sure drafts first, then costly agents, then errors."""
    ranked = [(_rank(record), record) for record in records if _is_wrong(record)]
    ranked.sort(key=lambda pair: pair[0])
    return [(record, _why(record)) for _, record in ranked[:count]]


def show_samples(
    found: Sequence[tuple[Record, str]], folder: Path, open_split: OpenSplit
) -> list[HardSample]:
    """The samples with their pictures, from the run's `images/` or from the dataset."""
    kept = {_key(record): _kept(record, folder) for record, _ in found}
    missing = [record for record, _ in found if not kept[_key(record)]]
    opened = _from_dataset(missing, open_split)
    shown = []
    for record, why in found:
        pictures, note = kept[_key(record)], ""
        if not pictures:
            got = opened[_key(record)]
            pictures, note = ((), got) if isinstance(got, str) else ((got,), "")
        shown.append(HardSample(record, why, pictures, note, _turns(record)))
    return shown


def _is_wrong(record: Record) -> bool:
    return record.verdict is None or record.verdict.right is not True


def _rank(record: Record) -> tuple[int, float, str, int]:
    place = {"small": 0, "large": 1, "error": 2}[record.route]
    weight = (record.confidence or 0.0) if place == 0 else record.seconds
    return place, -weight, record.split, record.position


def _why(record: Record) -> str:
    if record.route == "error":
        return "failed"
    undecided = record.verdict is None or record.verdict.right is None
    ended = "no rule could judge it" if undecided else "wrong"
    if record.route == "small":
        return f"the draft stood, and is {ended}" if not undecided else f"the draft stood; {ended}"
    return f"the agent answered; {ended}"


def _key(record: Record) -> tuple[str, str]:
    return record.split, record.sample_id


def _kept(record: Record, folder: Path) -> tuple[Thumbnail, ...]:
    place = folder / IMAGES / folder_name(trajectory_key(record.split, record.sample_id))
    found = []
    for file in sorted(place.glob("*.png"))[:MAX_KEPT]:
        try:
            found.append(_thumbnail(load_picture(file, file.stem), file.stem))
        except PictureError:
            continue
    return tuple(found)


def _from_dataset(
    records: Sequence[Record], open_split: OpenSplit
) -> Mapping[tuple[str, str], Thumbnail | str]:
    """Each record's picture, or one sentence on why it cannot be had."""
    found: dict[tuple[str, str], Thumbnail | str] = {
        _key(record): "The dataset no longer holds this sample." for record in records
    }
    for split in dict.fromkeys(record.split for record in records):
        wanted = {r.sample_id: r for r in records if r.split == split}
        last = max(record.position for record in wanted.values())
        try:
            for sample in islice(open_split(split), last + 1):
                if sample.id in wanted:
                    found[split, sample.id] = _open(sample)
        except Exception as error:  # noqa: BLE001 - a dataset's plugin raises what it likes
            why = str(error) if isinstance(error, SpecEyesError) else repr(error)
            found |= {
                (split, name): f"The picture cannot be had: {why}"
                for name in wanted
                if isinstance(found[split, name], str)
            }
    return found


def _open(sample: Sample) -> Thumbnail | str:
    try:
        return _thumbnail(sample.picture.open(), sample.picture.name)
    except Exception as error:  # noqa: BLE001 - a dataset's plugin raises what it likes
        return f"The picture cannot be opened: {error}"


def _thumbnail(image: Image.Image, label: str) -> Thumbnail:
    small = image.convert("RGB")
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=JPEG_QUALITY)
    data = base64.b64encode(out.getvalue()).decode()
    return Thumbnail(f"data:image/jpeg;base64,{data}", small.width, small.height, label)


def _turns(record: Record) -> tuple[Turn, ...]:
    return tuple(
        Turn(f"{phase}, {message.role}", _text(message))
        for phase in ("screen", "draft", "agent")
        for message in record.messages.get(phase, ())
    )


def _text(message: MessageNote) -> str:
    text = "".join(
        f"\n[picture {part.picture}, {part.width or '?'}×{part.height or '?'}]\n"
        if isinstance(part, PictureNote)
        else part
        for part in message.content
    ).strip()
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]} … ({len(text):,} characters)"
