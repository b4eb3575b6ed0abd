"""One question in the chat form of Qwen's models, read as qwen-vl-utils reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from speceyes_cli.core.chat import Picture
from speceyes_cli.core.errors import DataError, PictureError, UsageError
from speceyes_cli.core.pictures.loading import load_chat_pictures
from speceyes_cli.core.samples import Sample
from speceyes_cli.host.planning.questions import check_question

NAME = "the picture in the messages"


def read_chat_file(path: Path) -> list[dict[str, Any]]:
    """The messages in a JSON file; `DataError` when it holds no list of messages."""
    try:
        messages = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no JSON: {error}.") from None
    if not isinstance(messages, list):
        raise DataError(f'{path} holds no list of messages: [{{"role": …, "content": …}}].')
    return messages


def question_from_chat(
    messages: Sequence[Mapping[str, Any]], choices: tuple[str, ...] = (), folder: Path | None = None
) -> Sample:
    """The question that the messages hold: one picture, and text.

    The picture goes through `qwen_vl_utils.process_vision_info` as it is installed, so sizes asked
    for beside it (`min_pixels`, `max_pixels`, `resized_height`) hold. Paths start at `folder`.
    Raises `UsageError` for other messages and `PictureError` for a picture that cannot be read.
    """
    parts = _parts(messages)
    text = "\n".join(str(part["text"]) for part in parts if "text" in part).strip()
    kept = [part for part in parts if "text" not in part]
    if any("video" in part for part in kept):
        raise UsageError("The messages hold a video; one picture can be asked about.")
    if len(kept) != 1:
        found = len(kept) or "none"
        raise UsageError(f"A question needs exactly one picture; the messages hold {found}.")
    check_question(text, choices)
    from qwen_vl_utils import process_vision_info  # noqa: PLC0415 - imports torch

    opened = load_chat_pictures([{"role": "user", "content": kept}], folder)
    try:
        images, _ = process_vision_info(opened)
    except Exception as error:
        raise PictureError(f"{NAME} cannot be used: {error}.") from error
    if not images:
        raise UsageError("The messages hold no picture that qwen-vl-utils knows.")
    image = images[0]
    return Sample("question", "infer", Picture(NAME, lambda: image), text, choices)


def _parts(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Every part of the chat, plain text as a part too; `UsageError` for what is no chat."""
    parts: list[Mapping[str, Any]] = []
    for message in messages:
        if not isinstance(message, Mapping) or "content" not in message:
            raise UsageError('A message is {"role": …, "content": …}; one of these is not.')
        content = message["content"]
        listed = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if not isinstance(listed, Sequence) or not all(isinstance(p, Mapping) for p in listed):
            raise UsageError("A message's content is text or a list of parts; one of these is not.")
        parts += listed
    roles = [message.get("role") for message in messages]
    if roles.count("user") != 1 or "assistant" in roles:
        raise UsageError("Give exactly one user message: one question at a time.")
    return parts
