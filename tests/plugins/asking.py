"""Questions about pictures of noise, for engines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from PIL import Image

from speceyes_cli.core.chat import Ask, Message, Picture


def picture(seed: int, size: tuple[int, int] = (200, 200)) -> Picture:
    """Eight by eight fields of any colour."""
    noise = torch.randint(0, 255, (8, 8, 3), generator=torch.Generator().manual_seed(seed))
    image = Image.fromarray(noise.to(torch.uint8).numpy()).resize(size, Image.Resampling.NEAREST)
    return Picture(f"noise {seed}", lambda: image)


def ask(
    seed: int, text: str = "What colour?", size: tuple[int, int] = (200, 200), **changes: Any
) -> Ask:
    """A question to the small model about one such picture; `changes` are to the ask's fields."""
    messages = (Message("user", (picture(seed, size), text)),)
    return replace(Ask("small", messages, max_new_tokens=12), **changes)
