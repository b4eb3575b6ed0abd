"""What a stream tells of each step beyond its outcome, to a client that asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from speceyes_cli.core.chat import Observation, Picture, Reply, Run, ToolError
from speceyes_cli.core.errors import PictureError
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.pictures.boxes import box_of
from speceyes_cli.core.run.record_builder import token_notes, without_pixels
from speceyes_cli.core.run.records import plain_json
from speceyes_cli.web.pictures import encode

IMAGE_SIDE = 512
"""Pixels of the longer side of what a tool showed, as it is sent."""
OWN_ARGUMENTS = ("key", "others")
"""What an agent hands to its tool on its own account: the trajectory's key, further pictures."""


def draft_facts(reply: Reply, gate: Gate) -> dict[str, Any]:
    """The gate's reading: what it held against what, and each token as a record has it."""
    return {
        "gate": gate.name,
        "threshold": gate.threshold,
        "finish": reply.finish,
        "tokens": [note.model_dump(exclude={"rivals"}) for note in token_notes(reply)],
    }


def tool_facts(
    run: Run, outcome: Observation | ToolError, pictures: Sequence[Picture]
) -> dict[str, Any]:
    """A tool's call, its box on one of the conversation's pictures, and what it showed.

    It decodes and encodes pictures, which takes a while.
    """
    content = outcome.content if isinstance(outcome, Observation) else (outcome.text,)
    told = {key: value for key, value in run.arguments.items() if key not in OWN_ARGUMENTS}
    return {
        "arguments": plain_json(without_pixels(told)),
        "text": "".join(part for part in content if isinstance(part, str)),
        "notes": [*run.notes, *outcome.notes],
        "box": _box(run, pictures),
        "images": [_data_url(part) for part in content if isinstance(part, Picture)],
    }


def _box(run: Run, pictures: Sequence[Picture]) -> dict[str, Any] | None:
    """The box of a call, the picture by its place; None without one, or where it lies in a crop."""
    meant = run.arguments.get("picture")
    place = next((i for i, picture in enumerate(pictures) if picture is meant), None)
    if place is None:
        return None
    try:
        box = box_of(run.arguments, pictures[place].open().size)
    except PictureError:
        return None
    return None if box is None else {"picture": place, **box._asdict()}


def _data_url(picture: Picture) -> str | None:
    try:
        return encode(picture.open(), IMAGE_SIDE).url
    except PictureError:  # what a sandbox showed is gone with its trajectory
        return None
