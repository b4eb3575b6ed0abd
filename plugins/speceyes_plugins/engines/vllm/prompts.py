"""Conversations as text, through the checkpoint's own chat template, one placeholder a picture."""

from __future__ import annotations

from typing import Any

from speceyes_cli.plugin import Ask, Picture, without_tokens


class PromptWriter:
    """Renders asks; vLLM itself widens each placeholder to the picture's visual tokens."""

    def __init__(self, tokenizer: Any) -> None:
        """`tokenizer` is the checkpoint's, with its chat template."""
        self._tokenizer = tokenizer
        added = tokenizer.added_tokens_decoder.values()
        special = {token.content for token in added if token.special}
        self._special = special.union(tokenizer.all_special_tokens)

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
        # a question must not be able to open a turn of its own
        return {"type": "text", "text": without_tokens(part, self._special)}
