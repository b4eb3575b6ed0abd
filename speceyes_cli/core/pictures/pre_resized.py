"""Pictures resized before a model's own processor resizes them, as the paper's code does."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import replace
from typing import Any

from PIL import Image

from speceyes_cli.core.agents import Begin
from speceyes_cli.core.chat import Ask, Message, Picture, Size

GRID = 28
"""Sides become multiples of it, in pixels, whatever the model."""
LEAST, MOST = 4 * GRID**2, 16_384 * GRID**2
"""Least and greatest area, in pixels."""


def pre_resized(steps: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """The same policy whose models see every picture resized first; tools see the original."""
    return (yield from _resizing(steps, {}))


def _resizing(
    steps: Generator[Any, Any, Any], shown: dict[Picture, Picture]
) -> Generator[Any, Any, Any]:
    sent = None
    try:
        while True:
            try:
                need = steps.send(sent)
            except StopIteration as end:
                return end.value
            if isinstance(need, Ask):
                need = replace(need, messages=pre_resized_messages(need.messages, shown))
            elif isinstance(need, Begin):
                need = Begin(_resizing(need.steps, shown))
            sent = yield need
    finally:
        steps.close()


def pre_resized_messages(
    messages: tuple[Message, ...], shown: dict[Picture, Picture]
) -> tuple[Message, ...]:
    """The messages with every picture resized; `shown` keeps each, for the messages to come."""
    return tuple(_shown(message, shown) for message in messages)


def _shown(message: Message, shown: dict[Picture, Picture]) -> Message:
    content = tuple(
        shown.setdefault(part, _resized(part)) if isinstance(part, Picture) else part
        for part in message.content
    )
    return replace(message, content=content)


def _resized(picture: Picture) -> Picture:
    def opened() -> Image.Image:
        image = picture.open()
        size = seen_size(Size(*image.size))
        return image if image.size == size else image.resize(size, Image.Resampling.BICUBIC)

    return Picture(picture.name, opened, picture.digest)


def seen_size(size: Size) -> Size:
    """The nearest multiples of 28 whose area lies within the limits."""
    width, height = (max(GRID, round(side / GRID) * GRID) for side in size)
    if width * height > MOST:
        scale = math.sqrt(size.width * size.height / MOST)
        width, height = (math.floor(side / scale / GRID) * GRID for side in size)
    elif width * height < LEAST:
        scale = math.sqrt(LEAST / (size.width * size.height))
        width, height = (math.ceil(side * scale / GRID) * GRID for side in size)
    return Size(width, height)
