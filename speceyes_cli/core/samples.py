"""One question: about a picture as a rule, about several or none within a conversation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NoReturn

from speceyes_cli.core.chat import Message, Picture, chat_pictures
from speceyes_cli.core.errors import PictureError
from speceyes_cli.core.option_texts import without_labels


def _open_none() -> NoReturn:
    raise PictureError("The question comes without a picture.")


NO_PICTURE = Picture("no picture", _open_none)
"""The picture of a question that comes without one."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a dataset yields. Policies never read `answer`."""

    id: str
    """Unique and stable within its dataset and split."""
    split: str
    picture: Picture
    """The one asked about; of several, the one that a tool looks at unless another is named."""
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
    shown: tuple[str | Picture, ...] | None = None
    """What stands before the question in its own turn; None: the picture alone."""
    earlier: tuple[Message, ...] = ()
    """The turns of the conversation before the question's, oldest first."""

    @property
    def key(self) -> str:
        """What scheduler, engines, agents and caches know the sample's trajectory by."""
        return trajectory_key(self.split, self.id)

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Every picture in sight, in the order the model reads them; none for words alone."""
        own = (part for part in self.before_question if isinstance(part, Picture))
        return (*chat_pictures(self.earlier), *own)

    @property
    def before_question(self) -> tuple[str | Picture, ...]:
        """What stands before the question in its own turn."""
        return (self.picture,) if self.shown is None else self.shown


def with_picture(sample: Sample, picture: Picture) -> Sample:
    """The sample with another picture in the place of its own, wherever that is shown."""

    def put(parts: tuple[str | Picture, ...]) -> tuple[str | Picture, ...]:
        return tuple(picture if part is sample.picture else part for part in parts)

    shown = None if sample.shown is None else put(sample.shown)
    earlier = tuple(replace(turn, content=put(turn.content)) for turn in sample.earlier)
    return replace(sample, picture=picture, shown=shown, earlier=earlier)


def trajectory_key(split: str, sample_id: str) -> str:
    """`split/id`; no two samples of a run share it: a slash in the split's name becomes %2F."""
    return f"{split.replace('%', '%25').replace('/', '%2F')}/{sample_id}"


QUESTION = "{question}"
"""Where a prompt has the question."""


@dataclass(frozen=True, slots=True)
class QuestionLayout:
    """How a question and its options become text; names in braces are places."""

    with_options: str = "Question: {question}\nOptions:\n{options}"
    alone: str = "Question: {question}"
    """A question without options."""
    option: str = "{letter}. {option}"
    between_options: str = "\n"
    short_until: str = ""
    """Screen and draft show the question up to the first such text; empty: all of it."""


OWN_LAYOUT = QuestionLayout()


def question_text(sample: Sample, layout: QuestionLayout = OWN_LAYOUT) -> str:
    """The question and its options, each behind one letter, as every prompt shows them."""
    if not sample.options:
        return fill(layout.alone, {"question": sample.question})
    options = [
        fill(layout.option, {"letter": chr(ord("A") + place), "option": option})
        for place, option in enumerate(without_labels(sample.options))
    ]
    values = {"question": sample.question, "options": layout.between_options.join(options)}
    return fill(layout.with_options, values)


def short_question(sample: Sample, layout: QuestionLayout = OWN_LAYOUT) -> str:
    """The same as the screen and the draft show it."""
    whole = question_text(sample, layout)
    return whole.partition(layout.short_until)[0] if layout.short_until else whole


def with_question(text: str, question: str, facts: Mapping[str, str] = MappingProxyType({})) -> str:
    """A prompt with the question in its place, and with the facts in theirs.

    A text without a place for the question follows it, and is left as it is.
    """
    if QUESTION not in text:
        return f"{question}\n{text}"
    return fill(text, {"question": question, **facts})


def fill(text: str, values: Mapping[str, str]) -> str:
    """Each `{name}` of the values replaced, in one pass; other braces are text."""
    places = "|".join(re.escape(f"{{{name}}}") for name in values)
    return re.sub(places, lambda found: values[found[0][1:-1]], text)


def question_turns(sample: Sample, text: str, system: str = "") -> tuple[Message, ...]:
    """The conversation up to the question, whose own turn ends with `text`, the question in it.

    A system message stands before it where there is something to say.
    """
    opening = (Message("system", (system,)),) if system else ()
    asked = Message("user", (*sample.before_question, text))
    return (*opening, *sample.earlier, asked)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an answer is right, and how that was found."""

    right: bool | None
    """None: undecided."""
    provenance: str
    """"letter", "text", "yes_no", "ambiguous", "none", or a judge's own word."""
