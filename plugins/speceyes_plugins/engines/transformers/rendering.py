"""Prompts as a model would read them, without its weights."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError
from transformers import AutoProcessor
from transformers.image_utils import SizeDict

from speceyes_cli.plugin import Ask, EngineOptions, Rendered, UsageError, first_line
from speceyes_plugins.engines.chat_rendering import ChatRenderer
from speceyes_plugins.engines.hub import require_hub
from speceyes_plugins.engines.transformers.models import location
from speceyes_plugins.engines.transformers.prompts import PromptWriter, pictures_of


def render(options: EngineOptions, asks: Sequence[Ask]) -> list[Rendered]:
    """Each ask's text and token ids; raises `UsageError` where the template cannot take it.

    `DataError` where the model has to come from the hub, which cannot be asked.
    """
    processor = _processor(location(options.model, options.role), options)
    named = f"--{options.role}: {options.model}"
    chat, writer = ChatRenderer(processor, named), PromptWriter(processor, named)
    rendered = []
    for ask in asks:
        counts = [
            _visual_tokens(processor.image_processor, p.open().size) for p in pictures_of(ask)
        ]
        try:
            text = chat.render(ask)
            [ids] = writer.write([(ask, counts)])
        except (TemplateError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise UsageError(
                f"--{options.role}: the chat template of {options.model} cannot take the messages "
                f"of the {ask.phase or 'prompt'}: {first_line(error)}."
            ) from error
        rendered.append(Rendered(text, tuple(ids)))
    return rendered


@lru_cache(maxsize=4)
def _processor(place: str, options: EngineOptions) -> Any:
    require_hub(place, options)
    try:
        processor = AutoProcessor.from_pretrained(place)
    except (OSError, ValueError, ImportError) as error:
        raise UsageError(
            f"--{options.role}: {place} has no processor: {first_line(error)}."
        ) from error
    size = processor.image_processor.size
    processor.image_processor.size = SizeDict(
        shortest_edge=options.min_pixels or size["shortest_edge"],
        longest_edge=options.max_pixels or size["longest_edge"],
    )
    return processor


def _visual_tokens(image_processor: Any, size: tuple[int, int]) -> int:
    """Tokens of a picture of this width and height, in pixels."""
    width, height = size
    patches: int = image_processor.get_number_of_image_patches(height, width)
    merge: int = image_processor.merge_size
    return patches // merge**2
