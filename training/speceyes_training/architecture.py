"""The embedded pair's two models: real architectures at toy size, and their shared tokenizer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

Part = Literal["small", "large"]

VOCABULARY = 1024
SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
TEXT_TOKENS = {
    "eos_token_id": "<|im_end|>",
    "pad_token_id": "<|endoftext|>",
    "bos_token_id": "<|endoftext|>",
}
VISION_TOKENS = {
    "image_token_id": "<|image_pad|>",
    "video_token_id": "<|video_pad|>",
    "vision_start_token_id": "<|vision_start|>",
    "vision_end_token_id": "<|vision_end|>",
}
MERGE = 2
FRAME = 160  # pixels a side of what the Qwen3-VLs see: the dot of a small disc is lost in it
PATCH = 16  # Qwen3-VL's
RELATIVE_SIDE = 1000  # what Qwen3-VL calls the whole width, and the whole height
WIDTH = 128

# Tags whole, then words, numbers and runs of punctuation, each with the space before it.
WORDS = r"</?[a-z_]+>| ?[A-Za-z_]+| ?[0-9]+| ?[^\sA-Za-z0-9_<]+| ?<|\s"

# Tools, calls and results are written as Qwen3-VL's own template writes them.
CHAT_TEMPLATE = Path(__file__).with_name("chat_template.jinja").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Shape:
    """What sets the models apart."""

    patch: int
    """Pixels a side; two by two of them are a visual token."""
    inner: int
    """Width inside the feed-forward layers."""
    frame: int = FRAME
    """Pixels a side of the square that the model sees of a square picture."""
    family: Literal["qwen3_vl", "qwen2_5_vl"] = "qwen3_vl"

    @property
    def whole(self) -> int:
        """What the family's boxes call the whole width: Qwen2.5-VL counts pixels of its frame."""
        return RELATIVE_SIDE if self.family == "qwen3_vl" else self.frame


WIDE = Shape(PATCH, 3 * WIDTH)
NARROW = Shape(20, WIDTH)
"""The speculator's: 16 visual tokens in place of 25, in the same frame, so that a box that it
writes means the same to the agent."""
QWEN2_5 = Shape(14, 3 * WIDTH, 168, "qwen2_5_vl")
"""A Qwen2.5-VL with its own patches: 36 visual tokens."""


def train_tokenizer(corpus: Iterable[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE with Qwen's special tokens, learnt from the lessons' own texts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",  # noqa: S106 - a token of text
        pad_token="<|endoftext|>",  # noqa: S106 - a token of text
        additional_special_tokens=list(SPECIAL_TOKENS),
        padding_side="left",
        model_max_length=4096,
    )


def build(tokenizer: PreTrainedTokenizerFast, shape: Shape = WIDE) -> Any:
    """An untrained model of 2.0 (narrow) or 2.5 (wide, Qwen2.5-VL) million parameters."""
    if shape.family == "qwen2_5_vl":
        return _build_qwen2_5(tokenizer, shape)
    return _build_qwen3(tokenizer, shape)


def _build_qwen3(tokenizer: PreTrainedTokenizerFast, shape: Shape) -> Any:
    """Both shapes have as many positions as the wide one has patches: the model interpolates."""
    rotary = {"mrope_section": [6, 5, 5], "mrope_interleaved": True}
    vision = {
        "patch_size": shape.patch,
        "num_position_embeddings": (FRAME // PATCH) ** 2,
        "deepstack_visual_indexes": [1],
    }
    config = Qwen3VLConfig(**_toy(tokenizer, shape.inner, {"head_dim": 32}, rotary, vision))
    return _ready(Qwen3VLForConditionalGeneration(config), tokenizer)


def _build_qwen2_5(tokenizer: PreTrainedTokenizerFast, shape: Shape) -> Any:
    """Time, rows and columns take one, two and thirteen of the sixteen rotary frequencies.

    In the shares of the published models the columns would have the lowest seven, which at this
    size cannot tell neighbouring columns apart.
    """
    rotary = {"mrope_section": [1, 2, 13]}
    vision = {
        "patch_size": shape.patch,
        "window_size": shape.frame,
        "fullatt_block_indexes": [0, 1, 2],
    }
    config = Qwen2_5_VLConfig(**_toy(tokenizer, shape.inner, {}, rotary, vision))
    return _ready(Qwen2_5_VLForConditionalGeneration(config), tokenizer)


def _toy(
    tokenizer: PreTrainedTokenizerFast,
    inner: int,
    text: dict[str, Any],
    rotary: dict[str, Any],
    vision: dict[str, Any],
) -> dict[str, Any]:
    """What both configurations share, with each one's own."""
    size = {"hidden_size": WIDTH, "intermediate_size": inner}
    return {
        "text_config": {
            **size,
            "vocab_size": VOCABULARY,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "max_position_embeddings": 4096,
            "rope_parameters": {"rope_type": "default", "rope_theta": 100.0, **rotary},
            **_ids(tokenizer, TEXT_TOKENS),
            **text,
        },
        "vision_config": {
            **size,
            "depth": 3,
            "num_heads": 4,
            "spatial_merge_size": MERGE,
            "out_hidden_size": WIDTH,
            **vision,
        },
        "tie_word_embeddings": False,
        **_ids(tokenizer, VISION_TOKENS),
    }


def _ids(tokenizer: PreTrainedTokenizerFast, names: dict[str, str]) -> dict[str, int]:
    return {name: tokenizer.vocab[token] for name, token in names.items()}


def _ready(model: Any, tokenizer: PreTrainedTokenizerFast) -> Any:
    for name, value in _ids(tokenizer, TEXT_TOKENS).items():
        setattr(model.generation_config, name, value)
    return model


def build_processor(tokenizer: PreTrainedTokenizerFast, shape: Shape = WIDE) -> Any:
    """The family's own processor, with one fixed pixel budget."""
    image = _image_processor(shape.patch, shape.frame)
    if shape.family == "qwen2_5_vl":
        return Qwen2_5_VLProcessor(
            image_processor=image,
            tokenizer=tokenizer,
            video_processor=Qwen2VLVideoProcessor(patch_size=shape.patch, merge_size=MERGE),
            chat_template=CHAT_TEMPLATE,
        )
    return Qwen3VLProcessor(
        image_processor=image,
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(patch_size=shape.patch, merge_size=MERGE),
        chat_template=CHAT_TEMPLATE,
    )


def pixel_bounds(side: int) -> tuple[int, int]:
    """Least and most pixels of a picture for models that see squares of `side` pixels.

    A pixel of room on either side: with equal bounds a rounded root shows 121 of the square sizes
    up to 3,000 one step of the factor too small, and 4 one step too large.
    """
    return side * side - 1, side * side + 1


def _image_processor(patch: int, side: int) -> Qwen2VLImageProcessor:
    normal = [0.5, 0.5, 0.5]
    least, most = pixel_bounds(side)
    return Qwen2VLImageProcessor(
        patch_size=patch,
        merge_size=MERGE,
        size={"shortest_edge": least, "longest_edge": most},
        image_mean=normal,
        image_std=normal,
    )


def save(model: Any, processor: Any, folder: Path) -> None:
    """Write weights, configuration and processor so that `from_pretrained` reads them back."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    for path in folder.iterdir():
        path.chmod(0o644)  # weights are written 0600, unreadable once packaged
