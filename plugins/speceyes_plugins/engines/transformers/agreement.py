"""Whether a model is read here as the library reads it, tried once with two pictures.

For types of models that no test of ours runs: the sizes at which pictures are seen, the prompt's
tokens and the logits after it must be the library's own.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from speceyes_cli.plugin import Ask, Message, Picture
from speceyes_plugins.engines.transformers.library_batch import LibraryBatch
from speceyes_plugins.engines.transformers.loading import Loaded
from speceyes_plugins.engines.transformers.pictures import PictureEncoder
from speceyes_plugins.engines.transformers.positions import positions_of
from speceyes_plugins.engines.transformers.prompts import PromptWriter
from speceyes_plugins.engines.transformers.text_batch import Prompt

SIZES = ((120, 90), (150, 220))
"""Of the two pictures, in pixels: neither a square nor a multiple of a patch."""
CLOSE = {torch.float32: 1e-3}
"""How far logits may lie apart, as a share of their range; shorter types round at each step."""
ROUNDED = 0.05


@torch.inference_mode()
def find_difference(loaded: Loaded, writer: PromptWriter, encoder: PictureEncoder) -> str | None:
    """In what our reading differs from the library's, in words; None: in nothing."""
    model, processor = loaded.model, loaded.processor
    noise = np.random.default_rng(0)
    images = [Image.fromarray(noise.integers(0, 256, (h, w, 3), np.uint8)) for w, h in SIZES]
    shown = [Picture(f"noise {i}", image.copy) for i, image in enumerate(images)]
    ask = Ask("large", (Message("user", ("First: ", shown[0], " second: ", shown[1], "?")),), 1)
    content = [
        {"type": "image"} if isinstance(part, Picture) else {"type": "text", "text": part}
        for part in ask.messages[0].content
    ]
    text = processor.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    theirs = processor(text=[text], images=images, return_tensors="pt").to(model.device)
    seen = encoder.look([encoder.resized(picture) for picture in shown])
    if [list(picture.grid) for picture in seen] != theirs["image_grid_thw"].tolist():
        return "pictures come out at other sizes"
    [ids] = writer.write([(ask, [len(picture.features) for picture in seen])])
    if ids != theirs["input_ids"][0].tolist():
        return "the prompt comes out as other tokens"
    merge, image_token = processor.image_processor.merge_size, int(model.config.image_token_id)
    positions = positions_of(ids, [picture.grid for picture in seen], image_token, merge)
    ours = LibraryBatch(model, [Prompt(ids, positions, None, seen)], 0).logits.float()
    wanted = model(**theirs, logits_to_keep=1).logits[:, -1].float()
    apart = (ours - wanted).abs().max() / (wanted.max() - wanted.min())
    return None if apart <= CLOSE.get(loaded.dtype, ROUNDED) else "it gives other logits"
