"""Lessons as tensors: pictures cut into patches, conversations into tokens and targets."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

import numpy as np
import torch
from speceyes_datasets.needle.scene import LARGE_SHARE, Scene, make_scene
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from speceyes_cli.core.chat import Picture
from speceyes_training.architecture import MERGE, WIDE, Part, Shape
from speceyes_training.lessons import Lesson
from speceyes_training.views import UNKNOWN, View, render


class Labels(NamedTuple):
    """Targets of the visual tokens of a batch of pictures."""

    classes: Tensor
    """[pictures x tokens, 4]."""
    offsets: Tensor
    """[pictures x tokens, 2], NaN without a disc."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Conversations of one kind, padded on the right."""

    input_ids: Tensor
    """[rows, length]."""
    attention_mask: Tensor
    targets: Tensor
    """[rows, length]: the token itself where it is to be learnt, else UNKNOWN."""
    pixels: Tensor
    """[pictures x patches, values]."""
    grid: Tensor
    """[pictures, 3]."""
    labels: Labels
    seen: tuple[int, ...]
    """For every picture in the rows, in order, which of `grid`'s pictures it is."""
    shared_prefix: int
    """Tokens at the start that every row has in common and that hold no picture."""


def cut(views: Sequence[View], patch: int = WIDE.patch) -> tuple[Tensor, Tensor, Labels]:
    """Patches in the processors' order, their grid, and the labels of the merged tokens."""
    pixels = torch.cat([patches(view, patch) for view in views])
    sides = [view.pixels.shape[:2] for view in views]
    grid = torch.tensor([[1, height // patch, width // patch] for height, width in sides])
    classes = torch.from_numpy(np.concatenate([view.classes for view in views]))
    offsets = torch.from_numpy(np.concatenate([view.offsets for view in views]))
    return pixels, grid, Labels(classes, offsets)


def patches(view: View, patch: int) -> Tensor:
    """[patches, values]: what each patch shows, those of one visual token side by side."""
    height, width, _ = view.pixels.shape
    pixels = torch.from_numpy(view.pixels).permute(2, 0, 1).float()
    pixels = (pixels / 255 - 0.5) / 0.5
    down, across = height // patch // MERGE, width // patch // MERGE
    blocks = pixels.reshape(3, down, MERGE, patch, across, MERGE, patch)
    blocks = blocks.permute(1, 4, 2, 5, 0, 3, 6).unsqueeze(5)
    blocks = blocks.expand(-1, -1, -1, -1, -1, 2, -1, -1)  # one picture is two equal frames
    return blocks.reshape(down * across * MERGE * MERGE, 3 * 2 * patch * patch)


class Encoder:
    """Turns conversations into token ids, exactly as the chat template does."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, shape: Shape = WIDE) -> None:
        self.tokenizer = tokenizer
        self.patch = shape.patch
        self.tokens = (shape.frame // shape.patch // MERGE) ** 2
        self.pad = tokenizer.pad_token_id

    def encode(
        self, lesson: Lesson, tokens: Iterator[int] | None = None
    ) -> tuple[list[int], list[int]]:
        """Ids and targets; only assistant turns and the token that ends them are learnt.

        `tokens` gives the visual tokens of each picture in turn, without it all are whole frames.
        """
        visual = tokens or repeat(self.tokens)
        ids: list[int] = []
        targets: list[int] = []
        for message in lesson.messages:
            pieces = [(f"<|im_start|>{message.role}\n", False)]
            own = message.role == "assistant"
            for part in message.content:
                if isinstance(part, Picture):
                    pads = "<|image_pad|>" * next(visual)
                    pieces.append((f"<|vision_start|>{pads}<|vision_end|>", False))
                else:
                    pieces.append((part, own and part not in lesson.given))
            pieces += [("<|im_end|>", pieces[-1][1]), ("\n", False)]
            for piece, learnt in pieces:
                new = self.tokenizer(piece, add_special_tokens=False)["input_ids"]
                ids += new
                targets += new if learnt else [UNKNOWN] * len(new)
        return ids, targets

    def batch(self, lessons: Sequence[Lesson], views: Sequence[View], seen: Sequence[int]) -> Batch:
        """Pad a batch; `seen` names, picture by picture in the rows, the view it shows."""
        tokens = iter([views[i].tokens for i in seen])
        rows = [self.encode(lesson, tokens) for lesson in lessons]
        length = max(len(ids) for ids, _ in rows)
        input_ids = torch.full((len(rows), length), self.pad)
        targets = torch.full((len(rows), length), UNKNOWN)
        mask = torch.zeros((len(rows), length), dtype=torch.long)
        for i, (ids, goals) in enumerate(rows):
            input_ids[i, : len(ids)] = torch.tensor(ids)
            targets[i, : len(ids)] = torch.tensor(goals)
            mask[i, : len(ids)] = 1
        prefix = 0
        if lessons[0].messages[0].role == "system":
            prefix = len(self.encode(Lesson(lessons[0].messages[:1]))[0])
        pixels, grid, labels = cut(views, self.patch)
        return Batch(input_ids, mask, targets, pixels, grid, labels, tuple(seen), prefix)


class Pool:
    """Scenes drawn so far; it grows and then renews itself, a few scenes a step."""

    def __init__(self, part: Part, seed: int, size: int, shape: Shape = WIDE) -> None:
        self.size = size
        self.shape = shape
        self.rng = random.Random(f"train/{part}/{seed}")  # noqa: S311 - reproducible, not secret
        self.scenes: list[tuple[Scene, View]] = []

    def renew(self, count: int) -> None:
        """Draw `count` new scenes."""
        for _ in range(count):
            scene, _ = make_scene(self.rng, target_large=self.rng.random() < LARGE_SHARE)
            entry = (scene, render(scene, shape=self.shape))
            if len(self.scenes) < self.size:
                self.scenes.append(entry)
            else:
                self.scenes[self.rng.randrange(self.size)] = entry

    def draw(self, count: int) -> list[tuple[Scene, View]]:
        """A sample of what is there."""
        return self.rng.choices(self.scenes, k=count)
