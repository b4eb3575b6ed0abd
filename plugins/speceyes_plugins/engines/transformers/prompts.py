"""Conversations as token ids, through the checkpoint's own chat template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from speceyes_cli.plugin import Ask, Picture, chat_pictures
from speceyes_plugins.engines.chat_rendering import ChatRenderer


class PromptWriter:
    """Renders asks; pictures become as many placeholder tokens as they have visual tokens."""

    def __init__(self, processor: Any, name: str = "The model") -> None:
        """Raises `UsageError`, which begins with `name`, where the template shows no pictures."""
        self._processor = processor
        self._placeholder = processor.image_token
        self._chat = ChatRenderer(processor, name)
        self.rehearse = self._chat.rehearse

    def write(self, asks: Sequence[tuple[Ask, Sequence[int]]]) -> list[list[int]]:
        """Token ids of each ask's prompt, given how many visual tokens each of its pictures has."""
        texts = [self._render(ask, picture_tokens) for ask, picture_tokens in asks]
        ids: list[list[int]] = self._processor.tokenizer(texts, add_special_tokens=False)[
            "input_ids"
        ]
        return ids

    def _render(self, ask: Ask, picture_tokens: Sequence[int]) -> str:
        pieces = self._chat.render(ask).split(self._placeholder)
        if len(pieces) != len(picture_tokens) + 1:
            raise ValueError(f"{len(picture_tokens)} pictures, {len(pieces) - 1} placeholders")
        whole: str = pieces[0]
        for count, piece in zip(picture_tokens, pieces[1:], strict=True):
            whole += self._placeholder * count + piece
        return whole


def pictures_of(ask: Ask) -> list[Picture]:
    """The ask's pictures in the order the model reads them."""
    return chat_pictures(ask.messages)
