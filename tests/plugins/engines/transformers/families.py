"""Untrained models of each family, the genuine configuration with fewer and narrower layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from speceyes_training import architecture
from transformers import (
    AutoModelForImageTextToText,
    Glm4vImageProcessor,
    Glm4vProcessor,
    Glm4vVideoProcessor,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING


class Processing(NamedTuple):
    """How a family prepares what its models see."""

    processor: Any
    video: Any
    image: Any = Qwen2VLImageProcessor
    tokens: dict[str, str] = architecture.VISION_TOKENS
    shown: str = "<|vision_start|><|image_pad|><|vision_end|>"


class Shape(NamedTuple):
    """What of a family's configuration is not taken from the library's defaults."""

    patch: int
    text: dict[str, Any]
    vision: dict[str, Any]
    processing: Processing = Processing(Qwen3VLProcessor, Qwen3VLVideoProcessor)


WIDTH = 64
SECTIONS = {"mrope_section": [24, 20, 20], "mrope_interleaved": True}  # Qwen3-VL's
HALF = {"mrope_section": [11, 11, 10], "mrope_interleaved": True, "partial_rotary_factor": 0.25}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
QWEN3_VISION = {"hidden_size": WIDTH, "out_hidden_size": WIDTH, "intermediate_size": 128}
LINEAR = {  # three layers of linear attention and one of full attention, as in the genuine ones
    "num_hidden_layers": 4,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
}


def rotary(theta: float, **more: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": "default", "rope_theta": theta, **more}}


GLM_TOKENS = {
    "image_token_id": "<|image|>",
    "video_token_id": "<|video|>",
    "image_start_token_id": "<|begin_of_image|>",
    "image_end_token_id": "<|end_of_image|>",
    "video_start_token_id": "<|begin_of_video|>",
    "video_end_token_id": "<|end_of_video|>",
}
GLM_TOKENS = {
    "image_token_id": "<|image|>",
    "video_token_id": "<|video|>",
    "image_start_token_id": "<|begin_of_image|>",
    "image_end_token_id": "<|end_of_image|>",
    "video_start_token_id": "<|begin_of_video|>",
    "video_end_token_id": "<|end_of_video|>",
}
SHAPES = {
    "qwen2_vl": Shape(
        14,
        {"hidden_size": 256, **rotary(1e6, mrope_section=[16, 24, 24])},
        {"embed_dim": WIDTH, "hidden_size": 256},
        Processing(Qwen2VLProcessor, Qwen2VLVideoProcessor),
    ),
    "qwen2_5_vl": Shape(
        14,
        {"hidden_size": 256, **rotary(1e6, mrope_section=[16, 24, 24])},
        {
            "hidden_size": WIDTH,
            "out_hidden_size": 256,
            "intermediate_size": 128,
            "fullatt_block_indexes": [1],
        },
        Processing(Qwen2_5_VLProcessor, Qwen2VLVideoProcessor),
    ),
    "qwen3_vl": Shape(
        16,
        {"head_dim": 128, **rotary(5e6, **SECTIONS)},
        {**QWEN3_VISION, "deepstack_visual_indexes": [0, 1]},
    ),
    "qwen3_vl_moe": Shape(
        16,
        {"head_dim": 128, **EXPERTS, **rotary(5e6, **SECTIONS)},
        {**QWEN3_VISION, "deepstack_visual_indexes": [0, 1]},
    ),
    "qwen3_5": Shape(16, {**LINEAR, **rotary(1e7, **HALF)}, QWEN3_VISION),
    "qwen3_5_moe": Shape(
        16,
        {**LINEAR, **EXPERTS, "shared_expert_intermediate_size": 32, **rotary(1e7, **HALF)},
        QWEN3_VISION,
    ),
    "qwen4_exp": Shape(
        16,
        {
            **LINEAR,
            **EXPERTS,
            "shared_expert_intermediate_size": 32,
            "hc_lowrank": 8,
            "ple_layer_ids": [1],
            "ngram_vocab_size_base": 100,
            "heads_per_ngram": 2,
            "split_ngram_parts": 2,
            "make_ngram_vocab_size_divisible_by": 8,
            "indexer_n_heads": 2,
            "indexer_kv_heads": 1,
            "indexer_head_dim": 64,
            "indexer_budget": 64,
            "indexer_compress_ratio": 4,
            **rotary(1e7, **HALF),
        },
        QWEN3_VISION,
    ),
    "glm4v": Shape(
        14,
        {"hidden_size": 256, **rotary(1e4, mrope_section=[8, 12, 12], partial_rotary_factor=0.5)},
        {"hidden_size": WIDTH, "out_hidden_size": 256, "intermediate_size": 128},
        Processing(
            Glm4vProcessor,
            Glm4vVideoProcessor,
            Glm4vImageProcessor,
            GLM_TOKENS,
            "<|begin_of_image|><|image|><|end_of_image|>",
        ),
    ),
}
"""By type."""


def build_family(model_type: str, folder: Path) -> Path:
    """Write an untrained model of the type with its processor; greedy choices are no near-ties."""
    shape = SHAPES[model_type]
    corpus = ["What colour is the dot? Look closer. Answer: red yes no " * 20]
    tokenizer = architecture.train_tokenizer(corpus)
    special = [*architecture.SPECIAL_TOKENS, *shape.processing.tokens.values()]
    tokenizer.add_special_tokens({"additional_special_tokens": list(dict.fromkeys(special))})
    vocabulary = tokenizer.get_vocab()
    ids = {name: vocabulary[token] for name, token in architecture.TEXT_TOKENS.items()}
    vision_ids = {name: vocabulary[token] for name, token in shape.processing.tokens.items()}
    text = {
        "vocab_size": architecture.VOCABULARY + len(GLM_TOKENS),
        "hidden_size": WIDTH,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        **ids,
        **shape.text,
    }
    vision = {"depth": 2, "num_heads": 2, "patch_size": shape.patch, **shape.vision}
    config = CONFIG_MAPPING[model_type](
        text_config=text, vision_config=vision, tie_word_embeddings=False, **vision_ids
    )
    torch.manual_seed(3)
    model = AutoModelForImageTextToText.from_config(config)
    model.lm_head.weight.data.mul_(30)
    for name, value in ids.items():
        setattr(model.generation_config, name, value)
    architecture.save(model, build_processor(shape, tokenizer), folder)
    return folder


def build_processor(shape: Shape, tokenizer: Any) -> Any:
    processing, factor = shape.processing, shape.patch * 2
    shown = Processing._field_defaults["shown"]
    return processing.processor(
        image_processor=processing.image(
            patch_size=shape.patch,
            merge_size=2,
            size={"shortest_edge": 4 * factor**2, "longest_edge": 1280 * factor**2},
        ),
        tokenizer=tokenizer,
        video_processor=processing.video(patch_size=shape.patch, merge_size=2),
        chat_template=architecture.CHAT_TEMPLATE.replace(shown, processing.shown),
    )
