"""The samples of a run that are worth a look, by kind."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from speceyes_cli.core.errors import PictureError, SpecEyesError
from speceyes_cli.core.pictures.loading import load_picture
from speceyes_cli.core.run.columns import NO, UNKNOWN, YES, Columns
from speceyes_cli.core.run.kept_images import folder_name
from speceyes_cli.core.run.records import MessageNote, PictureNote, Record
from speceyes_cli.core.run.store import IMAGES
from speceyes_cli.core.samples import Sample, trajectory_key
from speceyes_cli.core.tables.comparison import agents_right, paired
from speceyes_cli.core.tables.summaries import LoadedRun

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


class _Kind(NamedTuple):
    title: str
    note: str
    places: Sequence[int]
    """In the run's columns, the most telling place first."""


class ShownSample(NamedTuple):
    """A sample worth a look, and all that is known of it."""

    record: Record
    pictures: tuple[Thumbnail, ...]
    picture_note: str
    """Why there is no picture; empty when there is one."""
    turns: tuple[Turn, ...]


class ShownKind(NamedTuple):
    """Some samples of one kind, the most telling ones first."""

    title: str
    note: str
    """What they have in common."""
    found: int
    """How many there are in the run."""
    samples: tuple[ShownSample, ...]


def choose_samples(
    run: LoadedRun, baseline: LoadedRun | None, count: int, open_split: OpenSplit
) -> list[ShownKind]:
    """Up to `count` samples of each kind that the run has; none is shown under two kinds."""
    wanted: list[tuple[_Kind, list[int]]] = []
    taken: set[int] = set()
    for kind in _kinds(run.columns, baseline):
        fresh = [place for place in kind.places if place not in taken][:count]
        taken |= set(fresh)
        if fresh:
            wanted.append((kind, fresh))
    shown = _show(run, sorted(taken), open_split)
    return [
        ShownKind(kind.title, kind.note, len(kind.places), tuple(shown[place] for place in places))
        for kind, places in wanted
    ]


def _kinds(columns: Columns, baseline: LoadedRun | None) -> Iterator[_Kind]:
    agent = agents_right(columns, paired(baseline.columns, columns) if baseline else None)
    right, judged = columns.right.tolist(), columns.judged.tolist()
    answered, accepted = columns.answered.tolist(), (columns.drafts.accepted == YES).tolist()
    every = range(len(columns))
    confidence, seconds = columns.confidence.tolist(), columns.seconds.tolist()
    sure = sorted(every, key=lambda place: -_known(confidence[place]))
    sure = [place for place in sure if accepted[place] and judged[place]]
    wrong = [place for place in sure if right[place] == NO]
    slow = sorted(every, key=lambda place: -seconds[place])
    yield _Kind(
        "Gains",
        "The draft stood and is right; the agent alone is wrong.",
        [place for place in sure if right[place] == YES and agent[place] is False],
    )
    yield _Kind(
        "Harms",
        "The draft stood and is wrong; the agent alone is right. The surest first.",
        [place for place in wrong if agent[place] is True],
    )
    yield _Kind(
        "Ties",
        "The draft stood, and a token of it was as good as tied with another.",
        [place for place in sure if columns.drafts.tied[place]],
    )
    yield _Kind("Wrong drafts", "The draft stood and is wrong. The surest first.", wrong)
    yield _Kind(
        "Wrong answers of the agent",
        "The costliest first.",
        [p for p in slow if judged[p] and not accepted[p] and right[p] == NO],
    )
    yield _Kind(
        "Undecided",
        "No rule could tell whether the answer is right; tables count it as wrong.",
        [p for p in slow if judged[p] and right[p] == UNKNOWN],
    )
    yield _Kind("Failures", "There is no answer.", [p for p in every if not answered[p]])
    yield _Kind("Slowest", "The costliest first.", [p for p in slow if answered[p]])


def _known(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def _show(run: LoadedRun, places: Sequence[int], open_split: OpenSplit) -> dict[int, ShownSample]:
    """The samples with their pictures, from the run's `images/` or from the dataset."""
    records = {place: run.record(place) for place in places}
    kept = {place: _kept(record, run.folder) for place, record in records.items()}
    missing = [record for place, record in records.items() if not kept[place]]
    opened = _from_dataset(missing, open_split)
    shown = {}
    for place, record in records.items():
        pictures, note = kept[place], ""
        if not pictures:
            got = opened[_key(record)]
            pictures, note = ((), got) if isinstance(got, str) else ((got,), "")
        shown[place] = ShownSample(record, pictures, note, _turns(record))
    return shown


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
