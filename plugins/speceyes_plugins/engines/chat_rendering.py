"""Conversations as text, through the checkpoint's own chat template."""

from __future__ import annotations

from typing import Any

from speceyes_cli.plugin import Ask, Picture, without_tokens


class ChatRenderer:
    """Renders asks with one placeholder for each picture."""

    def __init__(self, processor: Any) -> None:
        """`processor` is the checkpoint's, with its chat template and tokenizer."""
        self._processor = processor
        self._special = special_tokens(processor)

    def render(self, ask: Ask) -> str:
        """The prompt up to where the model goes on."""
        chat = [
            {"role": message.role, "content": [self._part(part) for part in message.content]}
            for message in ask.messages
        ]
        text: str = self._processor.apply_chat_template(
            chat,
            tokenize=False,
            add_generation_prompt=not ask.continue_turn,
            continue_final_message=ask.continue_turn,
        )
        return text

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
