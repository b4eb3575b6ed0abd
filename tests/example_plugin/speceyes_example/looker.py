"""An agent in one page: it looks at a part of the picture, then answers."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from speceyes_cli.plugin import (
    AgentOptions,
    AgentSpec,
    AgentState,
    Answer,
    Message,
    Observation,
    Picture,
    PluginOption,
    Reply,
    Run,
    Sample,
    ToolError,
    question_text,
    question_turns,
)


@dataclass(frozen=True, slots=True)
class Looker:
    """Speaks a language of two words: LOOK x1 y1 x2 y2, and ANSWER text."""

    max_turns: int = 4
    max_new_tokens: int = 32
    stop: tuple[str, ...] = ()
    continues_turn: bool = False
    margin: int = 0
    """Pixels added to each side of a box."""

    def screen(self, sample: Sample) -> tuple[Message, ...]:
        """Would looking help?"""
        text = f"{question_text(sample)}\nWould looking closer help? Yes or no."
        return question_turns(sample, text)

    def open(self, sample: Sample) -> tuple[Message, ...]:
        """The question, and the two words."""
        text = f"{question_text(sample)}\nSay LOOK x1 y1 x2 y2, or ANSWER and the answer."
        return question_turns(sample, text)

    def step(
        self, reply: Reply, state: AgentState
    ) -> Generator[Run, Observation | ToolError, Observation | Answer | ToolError]:
        """Read one of the two words."""
        word, _, rest = reply.text.partition(" ")
        if word == "ANSWER":
            return Answer(rest, source="large")
        if word != "LOOK":
            return ToolError("bad_word", "Say LOOK or ANSWER.")
        picture = state.sample.picture
        call = {"picture": picture, "box": rest, "margin": self.margin}
        return (yield Run(look, call, timeout=5.0, name="look"))


def look(picture: Picture, box: str, margin: int) -> Observation | ToolError:
    """Crop the picture; runs off the model's thread."""
    try:
        x1, y1, x2, y2 = (int(number) for number in box.split())
    except ValueError:
        return ToolError("bad_box", f"{box!r} is no box.")
    crop = picture.open().crop((x1 - margin, y1 - margin, x2 + margin, y2 + margin))
    return Observation(("[crop]", Picture(f"crop of {picture.name}", lambda: crop)))


def make(options: AgentOptions) -> Looker:
    """The agent with the command line's budget."""
    return Looker(
        options.max_turns or 4,
        options.max_new_tokens or 32,
        margin=int(options.options.get("margin") or 0),
    )


LOOKER = AgentSpec(
    name="looker",
    factory=make,
    models={"small": "scripted", "large": "scripted"},
    summary="looks at a part of the picture, then answers",
    options=(
        PluginOption("margin", "pixels added to each side of a box", 0, int),
        PluginOption("mood", "says nothing to the model", "calm", decides="nothing"),
    ),
)
