"""Lessons drawn at random, as batches."""

from __future__ import annotations

import random
from typing import Any

from speceyes_datasets.needle.scene import Disc, Scene
from speceyes_plugins.agents.deepeyes.agent import DeepEyes
from speceyes_plugins.agents.qwen.agent import Qwen
from speceyes_plugins.agents.tags import load_prompts
from torch import Tensor

from speceyes_cli.host.specs import AgentOptions
from speceyes_training import lessons
from speceyes_training.architecture import WIDE, Part, Shape
from speceyes_training.batches import Batch, Encoder, Labels, Pool, cut
from speceyes_training.views import View, render

QUESTIONS = {"draft": 3, "screen": 3, "scan": 2}  # about one picture, so that it is looked at once
SEEN_AT_ONCE = {"draft", "screen", "caption"}


class LessonSampler:
    """Draws lessons of a part."""

    def __init__(
        self,
        part: Part,
        tokenizer: Any,
        *,
        shape: Shape = WIDE,
        seed: int = 0,
        pool: int = 8000,
    ) -> None:
        self.part = part
        self.shape = shape
        self.agent = DeepEyes(AgentOptions())
        self.qwen = Qwen(AgentOptions())
        self.thyme = load_prompts("speceyes_plugins.agents.thyme", None)
        self.encoder = Encoder(tokenizer, shape)
        self.pool = Pool(part, seed, pool, shape)
        self.rng = random.Random(seed)  # noqa: S311 - reproducible, not secret

    def glance(self, count: int) -> tuple[Tensor, Tensor, Labels]:
        """Whole pictures and crops as `cut` gives them, for dense supervision alone."""
        views = []
        for scene, view in self.pool.draw(count):
            if self.part == "large" and self.rng.random() < 0.4:  # noqa: PLR2004
                views.append(self.crop(scene))
            else:
                views.append(view)
        return cut(views, self.shape.patch)

    def crop(self, scene: Scene) -> View:
        """The crop of a zoom lesson."""
        target = self.rng.choice(scene.discs)
        task = lessons.make_task(self.rng, scene, target, zooms=True)
        lesson = lessons.zoom_lesson(self.rng, self.agent, task, self.shape)
        return self.cropped(scene, lesson)

    def cropped(self, scene: Scene, lesson: lessons.Lesson) -> View:
        """The second picture of a lesson."""
        return render(scene, lesson.crop, resized=lesson.resized, shape=self.shape)

    def lesson_batch(self, kind: str, rows: int) -> Batch:
        """A batch of one kind; `zoom` brings two pictures a row."""
        made: list[lessons.Lesson] = []
        views: list[View] = []
        seen: list[int] = []
        for scene, view in self.pool.draw(rows):
            for target in self.targets(scene, kind):
                lesson = self.lesson(kind, scene, target)
                made.append(lesson)
                seen.append(len(views))
            views.append(view)
            if lesson.crop is not None:
                seen.append(len(views))
                views.append(self.cropped(scene, lesson))
        return self.encoder.batch(made, views, seen)

    def targets(self, scene: Scene, kind: str) -> list[Disc]:
        """Discs to ask about, for a draft large ones three times in four: only they can be read."""
        discs = self.rng.sample(scene.discs, len(scene.discs))
        if kind in SEEN_AT_ONCE and self.part == "small" and self.rng.random() < 0.75:  # noqa: PLR2004
            discs.sort(key=lambda disc: not disc.large)
        return discs[: QUESTIONS.get(kind, 1)]

    def lesson(self, kind: str, scene: Scene, target: Disc) -> lessons.Lesson:
        """One lesson about a disc."""
        rng, agent = self.rng, self.agent
        match kind:
            case "draft":
                made = lessons.draft_lesson(rng, scene, target)
            case "screen":
                words = rng.choice([agent.prompts, self.thyme])  # qwen's are those of DeepEyes
                made = lessons.screen_lesson(rng, words, scene, target)
            case "caption":
                made = lessons.caption_lesson(scene)
            case "scan":
                made = lessons.scan_lesson(rng, scene, target, self.shape)
            case "code":
                task = lessons.make_task(rng, scene, target)
                made = lessons.code_lesson(rng, self.thyme, task, self.shape)
            case "native":
                made = lessons.native_lesson(rng, self.qwen, lessons.make_task(rng, scene, target))
            case "score":
                made = lessons.score_lesson(rng, agent, scene, target, self.shape)
            case _:
                task = lessons.make_task(rng, scene, target)
                made = lessons.zoom_lesson(rng, agent, task, self.shape)
        return made
