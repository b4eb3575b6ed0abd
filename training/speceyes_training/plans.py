"""How each stage of the embedded models is trained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from speceyes_training.architecture import NARROW, QWEN2_5, WIDE, Part, Shape


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Everything that decides the result."""

    part: Part
    shape: Shape
    steps: int
    rows: int
    rate: float
    first: Mapping[str, float]
    """How often each kind of lesson is drawn at first."""
    first_until: float = 1.0
    """Share of the steps after which `then` is drawn: questions reuse what captions teach."""
    then: Mapping[str, float] = field(default_factory=dict)
    dense_share: float = 0.0
    """Of the steps, at the start, in which only the visual tokens are taught."""
    vision_until: float = 0.0
    """Share of the steps after which the vision tower rests: it sees well by then."""
    seed: int = 0
    pool: int = 8000
    """Scenes kept; the pool starts with an eighth of them."""
    fresh: int = 6
    """Scenes that the pool grows by, or renews, each step."""
    save_every: int = 100


Stage = Literal["base", "large", "small", "tune_large", "tune_small", "qwen2_5"]
PLANS: dict[Stage, TrainingPlan] = {
    "base": TrainingPlan(
        "small",
        WIDE,
        steps=3700,
        rows=32,
        rate=1.5e-3,
        dense_share=0.1,
        first={"caption": 0.65, "draft": 0.3, "screen": 0.05},
        first_until=0.5,
        then={"draft": 0.85, "caption": 0.1, "screen": 0.05},
        vision_until=0.5,
    ),
    "large": TrainingPlan(
        "large",
        WIDE,
        steps=6000,
        rows=32,
        rate=1e-3,
        first={"scan": 0.75, "zoom": 0.15, "screen": 0.1},
        first_until=0.15,
        then={
            "scan": 0.2,
            "zoom": 0.22,
            "code": 0.28,
            "native": 0.15,
            "screen": 0.04,
            "score": 0.11,
        },
        vision_until=0.25,
    ),
    "small": TrainingPlan(
        "small",
        NARROW,
        steps=3000,
        rows=32,
        rate=8e-4,
        dense_share=0.06,
        first={"draft": 0.6, "caption": 0.25, "zoom": 0.05, "code": 0.05, "screen": 0.05},
        first_until=0.4,
        then={"draft": 0.6, "zoom": 0.16, "code": 0.16, "caption": 0.03, "screen": 0.05},
        vision_until=0.6,
    ),
    "tune_large": TrainingPlan(
        "large",
        WIDE,
        steps=2600,
        rows=12,
        rate=6e-4,
        first={
            "zoom": 0.2,
            "code": 0.17,
            "native": 0.27,
            "scan": 0.2,
            "screen": 0.12,
            "score": 0.04,
        },
        seed=1,
        pool=2000,
        fresh=2,
        save_every=200,
    ),
    "qwen2_5": TrainingPlan(
        "large",
        QWEN2_5,
        steps=5200,
        rows=16,
        rate=1e-3,
        dense_share=0.03,
        first={"scan": 0.6, "zoom": 0.17, "code": 0.13, "screen": 0.07, "score": 0.03},
        first_until=0.34,
        then={"scan": 0.25, "zoom": 0.32, "code": 0.32, "screen": 0.06, "score": 0.05},
        vision_until=0.6,
        seed=2,
        pool=4000,
        fresh=4,
    ),
    "tune_small": TrainingPlan(
        "small",
        NARROW,
        steps=800,
        rows=12,
        rate=5e-4,
        first={"draft": 0.92, "zoom": 0.04, "code": 0.04},
        seed=1,
        pool=2000,
        fresh=2,
    ),
}


def mix_at(step: int, plan: TrainingPlan) -> Mapping[str, float]:
    """How often each kind of lesson is drawn."""
    return plan.first if step < plan.first_until * plan.steps else plan.then


def rate_at(step: int, plan: TrainingPlan) -> float:
    """Warm-up over the first 4%, then a cosine to a hundredth."""
    warm = 0.04 * plan.steps
    if step < warm:
        return plan.rate * (step + 1) / warm
    progress = (step - warm) / max(1, plan.steps - warm)
    return plan.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))
