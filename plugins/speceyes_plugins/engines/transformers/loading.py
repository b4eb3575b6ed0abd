"""Weights and processor, brought onto the device."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor
from transformers.image_utils import SizeDict

from speceyes_cli.plugin import BoxFrame, EngineOptions, OptionValue, UsageError, first_line
from speceyes_plugins.engines.box_frames import frame_of_checkpoint
from speceyes_plugins.engines.transformers.attention import use_by_length
from speceyes_plugins.engines.transformers.models import (
    TURN_MEMORY,
    digest,
    location,
    require_type,
)

DTYPES = ("auto", "float32", "bfloat16", "float16")
TINY = 20_000_000
"""Parameters below which a step of decoding is too short to share among threads."""
LARGE_BATCH = 16
"""Rows from which on it is not."""
ATTENTION = ("auto", "sdpa", "eager", "flash_attention_2")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to answer."""

    model: Any
    processor: Any
    device: torch.device
    dtype: torch.dtype
    attention: str
    revision: str | None
    """The hub's commit, or a digest of a local folder's weights."""
    box_frame: BoxFrame | None
    """What its boxes are measured in; None for a family not known."""


def load(options: EngineOptions) -> Loaded:
    """Read the model; raises `UsageError` in one sentence when it cannot be had."""
    place = location(options.model, options.role)
    device = pick_device(options.device)
    dtype = pick_dtype(options.dtype, device)
    attention = pick_attention(options.attention, device)
    noise = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(place)
        require_type(config.model_type, f"--{options.role}: {options.model}")
        box_frame = frame_of_checkpoint(config)
        processor = AutoProcessor.from_pretrained(place)
        model = AutoModelForImageTextToText.from_pretrained(
            place,
            dtype=dtype,
            device_map="auto" if options.device == "auto" and str(device) == "cuda" else device,
            attn_implementation=attention,
        )
    except (OSError, ValueError, ImportError, RuntimeError, SafetensorError) as error:
        raise UsageError(
            f"--{options.role}: {options.model} cannot be loaded: {first_line(error)}."
        ) from error
    finally:
        if noise:
            transformers.utils.logging.enable_progress_bar()
    processor.tokenizer.padding_side = "left"
    size = require_grids(processor, model, options)
    processor.image_processor.size = SizeDict(
        shortest_edge=options.min_pixels or size["shortest_edge"],
        longest_edge=options.max_pixels or size["longest_edge"],
    )
    if attention == "sdpa":
        use_by_length(model)
    if device.type == "cpu":
        project_patches(model)
        share_cores(sum(weight.numel() for weight in model.parameters()), options.batch_size)
    model.eval()
    revision = getattr(config, "_commit_hash", None) or digest(options)
    return Loaded(model, processor, device, dtype, attention, revision, box_frame)


def require_grids(processor: Any, model: Any, options: EngineOptions) -> Any:
    """The bounds of a picture's area; `UsageError` where pictures are no grids of patches."""
    images = getattr(processor, "image_processor", None)
    size = getattr(images, "size", None)
    edges = [getattr(size, name, None) for name in ("shortest_edge", "longest_edge")]
    named = ("patch_size", "merge_size", "resize")
    whole = all(hasattr(images, name) for name in named) and hasattr(model.model, "visual")
    if not whole or not all(edges) or not hasattr(processor, "image_token"):
        raise UsageError(
            f"--{options.role}: {options.model} does not see pictures as grids of patches within "
            "bounds of area, as this engine shows them."
        )
    return size


def project_patches(model: Any) -> None:
    """Put a matrix product in the place of the convolution over patches, where there is one."""
    embed: Any = getattr(model.model.visual, "patch_embed", None)
    convolution = getattr(embed, "proj", None)
    if isinstance(convolution, nn.Conv3d) and convolution.kernel_size == convolution.stride:
        embed.proj = PatchProjection(convolution)


def share_cores(parameters: int, batch_size: int) -> None:
    """Give a tiny model one thread, unless OMP_NUM_THREADS is set: two only wait for each other.

    At batch 8 the embedded pair answers 1.5 times as many samples a second with one thread as with
    two, while the other core opens pictures; at batch 32 a fifth fewer. A later model of ordinary
    size takes all cores again.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        small_work = parameters < TINY and batch_size < LARGE_BATCH
        torch.set_num_threads(1 if small_work else len(os.sched_getaffinity(0)))


class PatchProjection(nn.Module):
    """A convolution over patches that do not overlap, as the matrix product that it is.

    On a CPU it takes a quarter of the convolution's time.
    """

    def __init__(self, convolution: nn.Conv3d) -> None:
        """Share the convolution's weights."""
        super().__init__()
        self.weight = nn.Parameter(convolution.weight.detach().flatten(1), requires_grad=False)
        self.bias = convolution.bias

    def forward(self, patches: Tensor) -> Tensor:
        """[patches, channels, time, height, width] to [patches, hidden]."""
        return functional.linear(patches.flatten(1), self.weight, self.bias)


def pick_device(name: str) -> torch.device:
    """The named device, or a GPU where there is one."""
    if name == "auto" and not torch.cuda.is_available():
        return torch.device("cpu")
    if name in ("auto", "cuda") and torch.cuda.is_available():
        own = os.environ.get("LOCAL_RANK")  # of several processes each has its own
        return torch.device("cuda" if own is None else f"cuda:{int(own)}")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"--device {name}: known are auto, cpu, cuda and cuda:N.") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"--device {name}: no CUDA device is visible to torch.")
    return device


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """The named type; bfloat16 on a GPU and float32 on a CPU by default."""
    if name not in DTYPES:
        raise UsageError(f"--dtype {name}: known are {', '.join(DTYPES)}.")
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def pick_attention(name: str, device: torch.device) -> str:
    """Flash attention where it can be imported on a GPU, else torch's own."""
    if name not in ATTENTION:
        raise UsageError(f"--attention {name}: known are {', '.join(ATTENTION)}.")
    flash = importlib.util.find_spec("flash_attn") is not None
    if name == "flash_attention_2" and not flash:
        raise UsageError("--attention flash_attention_2: the package flash-attn is not installed.")
    if name != "auto":
        return name
    return "flash_attention_2" if flash and device.type == "cuda" else "sdpa"


def memory_for_turns(gib: OptionValue, device: torch.device) -> int:
    """Bytes that conversations may take between their turns: a tenth of the device's by default."""
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
    else:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if gib is None:
        return total // 10
    wanted = float(gib) * 2**30
    if not 0 <= wanted <= total:
        raise UsageError(
            f"--engine-option {TURN_MEMORY}={gib}: it must be from 0 to the "
            f"{total / 2**30:.1f} GiB of {device}."
        )
    return int(wanted)
