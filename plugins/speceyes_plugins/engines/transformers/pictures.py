"""Pictures as a model takes them, encoded once per trajectory."""

from __future__ import annotations

import inspect
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, cast

import pyarrow as pa
import torch
from PIL import Image
from torch import Tensor
from torch.utils.dlpack import from_dlpack
from torchvision.transforms.v2.functional import pil_to_tensor
from transformers.models.qwen3_vl.modeling_qwen3_vl import BaseModelOutputWithDeepstackFeatures

from speceyes_cli.plugin import Picture, Size
from speceyes_plugins.engines.transformers.seen_pictures import SeenPictures

MOST_HANDS = 4
"""Threads that open and resize a batch's pictures."""


Grid = tuple[int, int, int]
"""Time, rows and columns of a picture, in patches."""


class Encoded(NamedTuple):
    """One picture's visual tokens."""

    features: Tensor
    """[tokens, hidden]."""
    levels: tuple[Tensor, ...]
    """Qwen3-VL's deeper features, [tokens, hidden] each; empty for Qwen2.5-VL."""
    grid: Grid

    @property
    def size(self) -> int:
        """Bytes of the features."""
        return sum(part.nbytes for part in (self.features, *self.levels))

    def alone(self) -> Encoded:
        """The same in memory of its own: the features of a batch lie in one piece."""
        levels = tuple(level.clone() for level in self.levels)
        return self._replace(features=self.features.clone(), levels=levels)

    def frame(self, patch: int) -> Size:
        """The picture's size as the model saw it, in pixels."""
        return Size(self.grid[2] * patch, self.grid[1] * patch)


class PictureEncoder:
    """Runs the vision tower once for each picture of a trajectory and keeps what came out."""

    def __init__(self, model: Any, image_processor: Any) -> None:
        self._model = model
        self._processor = image_processor
        takes = inspect.signature(image_processor.resize).parameters
        own = {"temporal_factor": "temporal_patch_size"}  # GLM's count a picture as two frames
        self._own = {
            name: getattr(image_processor, setting)
            for name, setting in own.items()
            if name in takes
        }
        self._kept: dict[str, dict[Picture, Encoded]] = {}
        self._seen = SeenPictures()
        self._ahead: dict[tuple[str, Picture], Future[Tensor | Exception]] = {}
        self._lock = threading.Lock()
        cores = len(os.sched_getaffinity(0))
        self._hands = ThreadPoolExecutor(min(cores, MOST_HANDS), "speceyes-picture")
        self._works_ahead = model.device.type != "cpu" or torch.get_num_threads() < cores

    def resized(self, picture: Picture) -> Tensor:
        """One picture as the model sees it, [3, height, width] of uint8; raises as opening it."""
        image = picture.open()
        if image.mode != "RGB":
            image = image.convert("RGB")
        processor = self._processor
        factor = processor.patch_size * processor.merge_size
        seen = processor.resize(
            pixels_of(image), processor.size, processor.resample, factor, **self._own
        )
        return cast("Tensor", seen[0, :3])

    def encode(self, wanted: Sequence[tuple[str, Picture]]) -> dict[tuple[str, Picture], Any]:
        """Features of (trajectory, picture) pairs; one that cannot be opened maps to its error."""
        found: dict[tuple[str, Picture], Any] = {}
        fresh: list[tuple[tuple[str, Picture], Tensor]] = []
        missing = []
        for pair in dict.fromkeys(wanted):
            kept = self._known(*pair)
            if kept is None:
                missing.append(pair)
            else:
                found[pair] = kept
        for pair, resized in zip(missing, self._resize_all(missing), strict=True):
            if isinstance(resized, Exception):
                found[pair] = resized
            else:
                fresh.append((pair, resized))
        for (pair, _), encoded in zip(fresh, self.look([x for _, x in fresh]), strict=True):
            found[pair] = encoded
            if pair[0]:
                with self._lock:
                    self._kept.setdefault(pair[0], {})[pair[1]] = encoded
        return found

    def prepare(self, wanted: Sequence[tuple[str, Picture]]) -> None:
        """Begin to open and resize pictures that `encode` will be asked for, where a core is free.

        Where the model computes on all of them, its threads would wait for these.
        """
        if not self._works_ahead:
            return
        with self._lock:
            for pair in wanted:
                known = pair in self._ahead or self._known(*pair) is not None
                if pair[0] and not known:
                    self._ahead[pair] = self._hands.submit(self._attempt, pair[1])

    def _known(self, trajectory: str, picture: Picture) -> Encoded | None:
        """What is kept of the picture, of this trajectory or of one before it."""
        return self._kept.get(trajectory, {}).get(picture) or self._seen.get(picture)

    def _resize_all(self, pairs: Sequence[tuple[str, Picture]]) -> list[Tensor | Exception]:
        """Each picture resized, or its error; several pictures share the processor's cores.

        Decoding and resizing release the interpreter, and on a small model cost more than the
        model itself (benchmarks/infer_batch.py).
        """
        with self._lock:
            begun = [self._ahead.pop(pair, None) for pair in pairs]
        if begun == [None]:
            return [self._attempt(pairs[0][1])]
        futures = [
            future or self._hands.submit(self._attempt, pair[1])
            for pair, future in zip(pairs, begun, strict=True)
        ]
        return [future.result() for future in futures]

    def _attempt(self, picture: Picture) -> Tensor | Exception:
        try:
            return self.resized(picture)
        except Exception as error:  # noqa: BLE001 - it becomes this ask's own error
            return error

    def forget(self, trajectory: str) -> None:
        """Drop a trajectory's features."""
        with self._lock:
            self._seen.keep(self._kept.pop(trajectory, {}).items())
            for pair in [pair for pair in self._ahead if pair[0] == trajectory]:
                self._ahead.pop(pair).cancel()

    def close(self) -> None:
        """Let the threads end."""
        self._hands.shutdown(cancel_futures=True)

    def look(self, resized: Sequence[Tensor]) -> list[Encoded]:
        """What the vision tower makes of pictures as `resized` gives them."""
        if not resized:
            return []
        cut = self._processor(images=list(resized), do_resize=False, return_tensors="pt")
        vision, grids = self._model.model.visual, cut["image_grid_thw"]
        out = self._model.model.get_image_features(
            cut["pixel_values"].to(vision.device, vision.dtype),
            grids.to(vision.device),
            return_dict=True,
        )
        levels = getattr(out, "deepstack_features", None) or ()
        return [
            Encoded(out.pooler_output[i], tuple(level[i] for level in levels), tuple(grid))
            for i, grid in enumerate(grids.tolist())
        ]


def pixels_of(image: Image.Image) -> Tensor:
    """The pixels of an RGB picture as [1, 3 or 4, height, width] of uint8, not to be written to.

    In memory a pixel's bands lie together, which resizes several times quicker than the planes that
    the processor would make of them, to the same bytes. Pixels that Pillow keeps in one piece (16
    MiB) are shared, not copied, with the spare fourth byte that it gives to each.
    """
    try:
        shared = from_dlpack(pa.array(image).values)
    except ValueError:  # in several pieces
        return cast("Tensor", pil_to_tensor(image)[None])
    return shared.view(1, image.height, image.width, 4).permute(0, 3, 1, 2)


def gather(encoded: Sequence[Encoded]) -> tuple[Any, Tensor] | None:
    """Features in the form the models' `mm_encoder_outputs` takes, and the grids [pictures, 3]."""
    if not encoded:
        return None
    parts: dict[str, Any] = {  # a tensor a picture, as `get_image_features` returns them
        "pooler_output": tuple(item.features for item in encoded),
        "deepstack_features": [
            tuple(item.levels[i] for item in encoded) for i in range(len(encoded[0].levels))
        ],
    }
    grids = torch.tensor([item.grid for item in encoded])
    return BaseModelOutputWithDeepstackFeatures(**parts), grids
