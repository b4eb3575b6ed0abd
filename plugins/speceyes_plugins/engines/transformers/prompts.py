"""Conversations as token ids, through the checkpoint's own chat template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from speceyes_cli.plugin import Ask, Picture, chat_pictures, without_tokens


class PromptWriter:
    """Renders asks; pictures become as many placeholder tokens as they have visual tokens."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor
        self._placeholder = processor.image_token
        self._special = special_tokens(processor)

    def write(self, asks: Sequence[tuple[Ask, Sequence[int]]]) -> list[list[int]]:
        """Token ids of each ask's prompt, given how many visual tokens each of its pictures has."""
        texts = [self._render(ask, picture_tokens) for ask, picture_tokens in asks]
        ids: list[list[int]] = self._processor.tokenizer(texts, add_special_tokens=False)[
            "input_ids"
        ]
        return ids

    def _render(self, ask: Ask, picture_tokens: Sequence[int]) -> str:
        chat = [
            {"role": message.role, "content": [self._part(part) for part in message.content]}
            for message in ask.messages
        ]
        text = self._processor.apply_chat_template(
            chat,
            tokenize=False,
            add_generation_prompt=not ask.continue_turn,
            continue_final_message=ask.continue_turn,
        )
        pieces = text.split(self._placeholder)
        if len(pieces) != len(picture_tokens) + 1:
            raise ValueError(f"{len(picture_tokens)} pictures, {len(pieces) - 1} placeholders")
        whole: str = pieces[0]
        for count, piece in zip(picture_tokens, pieces[1:], strict=True):
            whole += self._placeholder * count + piece
        return whole

    def _part(self, part: str | Picture) -> dict[str, str]:
        if isinstance(part, Picture):
            return {"type": "image"}
        return {"type": "text", "text": without_tokens(part, self._special)}


def special_tokens(processor: Any) -> frozenset[str]:
    """Every token that a question must not hold: it could open a turn or stand for a picture."""
    named = ("image_token", "video_token", "audio_token", "boi_token", "eoi_token")
    found = {getattr(processor, name, None) for name in named}
    found.update(processor.tokenizer.all_special_tokens)
    added = processor.tokenizer.added_tokens_decoder.values()
    found.update(token.content for token in added if token.special)
    return frozenset(token for token in found if isinstance(token, str) and token)


def pictures_of(ask: Ask) -> list[Picture]:
    """The ask's pictures in the order the model reads them."""
    return chat_pictures(ask.messages)
