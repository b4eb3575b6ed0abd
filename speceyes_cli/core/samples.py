"""One question about one picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from speceyes_cli.core.chat import Picture
from speceyes_cli.core.option_texts import without_labels


@dataclass(frozen=True, slots=True)
class Sample:
    """What a dataset yields. Policies never read `answer`."""

    id: str
    """Unique and stable within its dataset and split."""
    split: str
    picture: Picture
    question: str
    options: tuple[str, ...] = ()
    """Option texts in the order shown, without letters; empty for open or yes/no questions."""
    answer: str | None = None
    """The right option's text, "yes"/"no", or a free answer; None when unknown."""
    cluster: str | None = None
    """Samples that share a picture or a question share this, for honest intervals."""
    category: str | None = None
    """A group that the dataset reports apart, such as HR-Bench's single and cross."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """JSON values kept in the record."""

    @property
    def key(self) -> str:
        """What scheduler, engines, agents and caches know the sample's trajectory by."""
        return trajectory_key(self.split, self.id)


def trajectory_key(split: str, sample_id: str) -> str:
    """`split/id`; no two samples of a run share it: a slash in the split's name becomes %2F."""
    return f"{split.replace('%', '%25').replace('/', '%2F')}/{sample_id}"


def question_text(sample: Sample) -> str:
    """The question and its options, each behind one letter, as every prompt shows them."""
    lines = [f"Question: {sample.question}"]
    if sample.options:
        lines.append("Options:")
        shown = without_labels(sample.options)
        lines += [f"{chr(65 + i)}. {option}" for i, option in enumerate(shown)]
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an answer is right, and how that was found."""

    right: bool | None
    """None: undecided."""
    provenance: str
    """"letter", "text", "yes_no", "ambiguous", "none", or a judge's own word."""
