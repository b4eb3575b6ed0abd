"""Train the embedded pair: `python -m speceyes_training.recipe base --out training/base`.

Three stages, each from the one before: `base` sees, describes and answers; `large` is the agent;
`small` is the speculator, an agent that is taught again to answer at once, and so can also propose
steps. `qwen2_5` makes an agent of that family out of `large`. Seeded, resumable from the last
checkpoint, on a GPU or on CPU threads. Three ideas make it fast enough for a laptop: every visual
token is also taught what lies under it (dense supervision), the system prompt that all rows share
is computed once a batch, and the speculator is trained towards a smoothed target whose losers
follow a fixed prior, so that its gate can see (see MODEL_CARD.md).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from speceyes_datasets.needle.scene import make_scene
from speceyes_plugins.agents.deepeyes.agent import DeepEyes
from speceyes_plugins.agents.tags import load_prompts
from speceyes_plugins.embedded import PAIR
from speceyes_plugins.engines.transformers.models import location
from torch import Tensor, nn
from transformers import AutoModelForImageTextToText, AutoTokenizer

from speceyes_cli.host.specs import AgentOptions
from speceyes_training import architecture, lessons
from speceyes_training.convert import converted, usual_sizes
from speceyes_training.lesson_sampling import LessonSampler
from speceyes_training.plans import PLANS, TrainingPlan, mix_at, rate_at
from speceyes_training.shrink import shrunk
from speceyes_training.training_model import SIZES, TrainingModel, loss_of, prior
from speceyes_training.views import UNKNOWN

DENSE_WEIGHT = 0.5


def measure(
    model: TrainingModel, sampler: LessonSampler, kinds: Mapping[str, float], rows: int
) -> dict[str, float]:
    """Per kind, the share of tokens right under teacher forcing.

    Apart, what whole drafts, a box's numbers and what is named after "is" come to.
    """
    model.eval()
    figures = {}
    with torch.inference_mode():
        for kind in kinds:
            batch = sampler.lesson_batch(kind, rows)
            logits, targets = model.read(batch, model.see(batch.pixels, batch.grid))
            right = logits.argmax(-1) == targets
            figures[kind] = round(right.float().mean().item(), 4)
            if kind == "draft":
                ends = targets == sampler.encoder.tokenizer.eos_token_id
                figures["draft_whole"] = whole_answers(right, ends)
            if kind in {"scan", "zoom", "native"}:
                tokenizer: Any = sampler.encoder.tokenizer
                words = tokenizer.convert_ids_to_tokens(targets.tolist())
                guesses = tokenizer.convert_ids_to_tokens(logits.argmax(-1).tolist())
                step = lessons.SNAP * sampler.shape.whole // sampler.shape.frame
                figures[f"{kind}_box"] = close_numbers(words, guesses, step)
                if kind != "scan":
                    named = torch.tensor([word == "Ġis" for word in ["", *words[:-1]]])
                    figures[f"{kind}_named"] = round(right[named].float().mean().item(), 4)
    model.train()
    return figures


def whole_answers(right: Tensor, ends: Tensor) -> float:
    """Share of answers whose every token is right; `ends` marks the last token of each."""
    answer = ends.cumsum(0) - ends.long()
    wrong = torch.zeros(int(ends.sum()), device=right.device)
    wrong.index_add_(0, answer, (~right).float())
    return round((wrong == 0).float().mean().item(), 4)


def close_numbers(goals: list[str], guesses: list[str | None], step: int) -> float:
    """Share of the goals that are numbers for which the guess is at most one grid step away."""
    near = []
    for goal, guess in zip(goals, guesses, strict=True):
        number, found = goal.lstrip("Ġ "), (guess or "").lstrip("Ġ ")  # spare tokens have no text
        if number.isdigit():
            near.append(found.isdigit() and abs(int(number) - int(found)) <= step)
    return round(sum(near) / max(1, len(near)), 4)


def dense_figures(model: TrainingModel, sampler: LessonSampler) -> dict[str, float]:
    """Share of discs' visual tokens whose labels are read off right."""
    pixels, grid, labels = sampler.glance(32)
    with torch.inference_mode():
        out = model.heads(torch.cat(tuple(model.see(pixels, grid).pooler_output)))
    figures = {}
    names = ("disc", "size", "dot", "side")
    for i, (name, part) in enumerate(zip(names, out.split((*SIZES, 2), -1)[:4], strict=True)):
        goal = labels.classes[:, i]
        asked = (goal != UNKNOWN) & (labels.classes[:, 0] > 0)
        figures[name] = round((part.argmax(-1) == goal)[asked].float().mean().item(), 4)
    return figures


def make_tokenizer() -> Any:
    """The pair's tokenizer: kept with the weights, since weights mean nothing without it."""
    return AutoTokenizer.from_pretrained(location(PAIR, "small"))


def learn_tokenizer() -> Any:
    """A new tokenizer from the lessons' own texts, for a pair begun from nothing."""
    rng = random.Random(1)  # noqa: S311 - reproducible, not secret
    scenes = [make_scene(rng, target_large=i % 2 == 0)[0] for i in range(300)]
    known = list(lessons.corpus(DeepEyes(AgentOptions()), scenes))
    tokenizer = architecture.train_tokenizer(known)
    thyme = load_prompts("speceyes_plugins.agents.thyme", None)
    tokenizer.add_tokens(lessons.later_words(thyme, scenes, known))
    return tokenizer


class Trainer:
    """One part on its way through a plan, with a folder for checkpoints and the result."""

    def __init__(self, plan: TrainingPlan, folder: Path, start: Path | None = None) -> None:
        """Begin, from a trained model's folder if given, or go on from the folder's checkpoint."""
        torch.manual_seed(plan.seed)
        folder.mkdir(parents=True, exist_ok=True)
        self.plan, self.folder = plan, folder
        self.tokenizer = make_tokenizer()
        self.model = TrainingModel(architecture.build(self.tokenizer, plan.shape))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=plan.rate, weight_decay=0.02)
        self.sampler = LessonSampler(
            plan.part, self.tokenizer, shape=plan.shape, seed=plan.seed, pool=plan.pool
        )
        self.losers = prior(architecture.VOCABULARY)
        self.step, self.averages = 0, dict[str, float]()
        self.checkpoint = folder / "checkpoint.pt"
        spent = 0.0
        if self.checkpoint.exists():
            spent = self._resume()
        elif start is not None:
            self._begin_from(start)
        self.sampler.pool.renew(plan.pool // 8)
        self.started = time.monotonic() - spent

    def _begin_from(self, start: Path) -> None:
        """Take up a trained model's weights, in this shape and family."""
        trained = AutoModelForImageTextToText.from_pretrained(start, dtype=torch.float32)
        model = self.model.model
        old, like = trained.state_dict(), model.state_dict()
        if trained.config.model_type == model.config.model_type:
            model.load_state_dict(shrunk(old, like))
            return
        sampler = LessonSampler(self.plan.part, self.tokenizer, seed=self.plan.seed, pool=64)
        sampler.pool.renew(64)
        batch, reader = sampler.lesson_batch("zoom", self.plan.rows), TrainingModel(trained)
        with torch.no_grad():
            seen = reader.see(batch.pixels, batch.grid)
            sizes = usual_sizes(trained, lambda: reader.read(batch, seen))
        model.load_state_dict(converted(old, like, sizes))

    def run(self, until: int | None = None) -> None:
        """Train to the plan's end, or to an earlier step."""
        plan = self.plan
        while self.step < min(plan.steps, until or plan.steps):
            self._learn()
            self.step += 1
            if self.step % 25 == 0:
                self._report(dense_figures(self.model, self.sampler) if self._sees() else {})
            if self.step % plan.save_every == 0 or self.step == plan.steps:
                if self.step > plan.dense_share * plan.steps:
                    kinds = mix_at(self.step - 1, plan)
                    self._report(measure(self.model, self.sampler, kinds, 4 * plan.rows))
                self._save()

    def export(self) -> None:
        """Write the model, in half precision, as `from_pretrained` reads it."""
        processor = architecture.build_processor(self.tokenizer, self.plan.shape)
        architecture.save(self.model.model.half(), processor, self.folder / "model")
        text = json.dumps(asdict(self.plan), indent=1)
        (self.folder / "plan.json").write_text(text, encoding="utf-8")

    def _learn(self) -> None:
        self.sampler.pool.renew(self.plan.fresh)
        for group in self.optimizer.param_groups:
            group["lr"] = rate_at(self.step, self.plan)
        kind, loss = one_step(self.model, self.sampler, self.plan, self.step, self.losers)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.averages[kind] = 0.95 * self.averages.get(kind, loss.item()) + 0.05 * loss.item()

    def _sees(self) -> bool:
        """Whether the vision tower is still being taught."""
        return self.step <= self.plan.vision_until * self.plan.steps

    def _save(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": time.monotonic() - self.started,
        }
        fresh = self.checkpoint.with_suffix(".new")
        torch.save(state, fresh)
        fresh.replace(self.checkpoint)

    def _resume(self) -> float:
        """Take up the checkpoint; the seconds spent so far. Scenes go on from new seeds."""
        state = torch.load(self.checkpoint, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        self.sampler.pool.rng.seed(f"resume/{self.step}")
        self.sampler.rng.seed(self.step)
        return float(state["seconds"])

    def _report(self, figures: Mapping[str, float]) -> None:
        """A line on the terminal and in `log.jsonl`."""
        line = {
            "step": self.step,
            "seconds": round(time.monotonic() - self.started, 1),
            "loss": {kind: round(value, 4) for kind, value in self.averages.items()},
            **figures,
        }
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def one_step(
    model: TrainingModel, sampler: LessonSampler, plan: TrainingPlan, step: int, losers: Tensor
) -> tuple[str, Tensor]:
    """The kind of this step's lesson and its loss."""
    if step < plan.dense_share * plan.steps:
        pixels, grid, labels = sampler.glance(plan.rows)
        return "dense", model.dense_loss(model.see(pixels, grid), labels)
    mix = mix_at(step, plan)
    kind = sampler.rng.choices(list(mix), weights=list(mix.values()))[0]
    batch = sampler.lesson_batch(kind, plan.rows)
    if step >= plan.vision_until * plan.steps:
        with torch.no_grad():
            features = model.see(batch.pixels, batch.grid)
        return kind, loss_of(plan.part, *model.read(batch, features), losers)
    features = model.see(batch.pixels, batch.grid)
    logits, targets = model.read(batch, features)
    dense = model.dense_loss(features, batch.labels)
    return kind, loss_of(plan.part, logits, targets, losers) + DENSE_WEIGHT * dense


def main() -> None:
    """Parse the command line and train one stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=PLANS)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--start", type=Path, help="a model folder to begin from")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    trainer = Trainer(PLANS[arguments.stage], arguments.out, arguments.start)
    trainer.run()
    trainer.export()


if __name__ == "__main__":
    main()
