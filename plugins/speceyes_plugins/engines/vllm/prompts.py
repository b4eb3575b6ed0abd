"""Conversations as text, through the checkpoint's own chat template, one placeholder a picture."""

from __future__ import annotations

from typing import Any

from speceyes_cli.plugin import Ask, Picture


class PromptWriter:
    """Renders asks; vLLM itself widens each placeholder to the picture's visual tokens."""

    def __init__(self, tokenizer: Any) -> None:
        """`tokenizer` is the checkpoint's, with its chat template."""
        self._tokenizer = tokenizer
        self._special = sorted(tokenizer.all_special_tokens, key=len, reverse=True)

    def write(self, ask: Ask) -> str:
        """The prompt up to where the model goes on."""
        chat = [
            {"role": message.role, "content": [self._part(part) for part in message.content]}
            for message in ask.messages
        ]
        text: str = self._tokenizer.apply_chat_template(
            chat,
            tokenize=False,
            add_generation_prompt=not ask.continue_turn,
            continue_final_message=ask.continue_turn,
        )
        return text

    def _part(self, part: str | Picture) -> dict[str, str]:
        if isinstance(part, Picture):
            return {"type": "image"}
        before = None
        while part != before:  # a question must not be able to open a turn of its own
            before = part
            for token in self._special:
                part = part.replace(token, "")
        return {"type": "text", "text": part}
