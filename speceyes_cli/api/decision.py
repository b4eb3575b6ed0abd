"""The whole decision on one question, as values and for a notebook."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from speceyes_cli.api.table import html_table, text
from speceyes_cli.core.gate.decision import confidence_from_separability
from speceyes_cli.core.pictures.boxes import box_of
from speceyes_cli.core.run.records import AGENT_PHASES, PictureNote, Record, ToolNote

WIDEST = 640
"""Pixels across at which a notebook shows the picture."""
COLOURS = ("#d62728", "#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e")


@dataclass(frozen=True, slots=True)
class Decision:
    """What was answered, who answered, and why; a notebook shows it with the picture."""

    record: Record
    """Everything that happened: each call, each token of the draft, each tool."""
    picture: Image.Image
    """The picture asked about."""
    gate: str
    """How the draft's tokens became one confidence."""
    threshold: float
    """What the confidence had to exceed; for SpecReason a step's least score."""

    @property
    def text(self) -> str | None:
        """The answer; None when the sample failed."""
        return self.record.text

    @property
    def route(self) -> str:
        """Who answered: "small", "large", or "error"."""
        return self.record.route

    @property
    def confidence(self) -> float | None:
        """The draft's confidence in 0..1; None without a draft, or where it is undefined."""
        return self.record.confidence

    @property
    def gaps(self) -> tuple[float | None, ...]:
        """Each draft token's separability, in standard deviations; None where undefined."""
        draft = self.record.draft
        return tuple(token.separability for token in draft.tokens) if draft is not None else ()

    @property
    def turns(self) -> tuple[str, ...]:
        """What was written in each turn of the agent's loop, in order."""
        return tuple(c.text for c in self.record.calls if c.phase in AGENT_PHASES)

    @property
    def boxes(self) -> tuple[tuple[float, float, float, float], ...]:
        """Where the agent zoomed into the picture, in its pixels: left, top, right, bottom."""
        found = (box_on(self.picture, tool) for tool in self.record.tools if self._is_own(tool))
        return tuple(box for box in found if box is not None)

    def _is_own(self, tool: ToolNote) -> bool:
        """Whether a tool looked at what the question came with, not at what a tool had shown."""
        parts = (part for message in self.record.conversation for part in message.content)
        names = [part.picture for part in parts if isinstance(part, PictureNote)]
        shown = sum(one.outcome == "ok" for one in self.record.tools)
        asked = names[: max(1, len(names) - shown)]
        return tool.arguments.get("picture") in (None, *asked)

    def __str__(self) -> str:
        if self.record.error is not None:
            return f"no answer: {self.record.error.kind}: {self.record.error.text}"
        sure = "" if self.confidence is None else f", confidence {self.confidence:.4f}"
        return f"{self.text} ({self.route} model{sure})"

    def _repr_html_(self) -> str:
        return "".join(_html(self))


def box_on(picture: Image.Image, tool: ToolNote) -> tuple[float, float, float, float] | None:
    """A tool call's box in pixels of the original picture; None where it has none."""
    box = box_of(tool.arguments, picture.size)
    if box is None:
        return None
    width, height = picture.size
    return (box.left * width, box.top * height, box.right * width, box.bottom * height)


def drawn(picture: Image.Image, boxes: Sequence[tuple[float, float, float, float]]) -> Image.Image:
    """A copy at most `WIDEST` across with the boxes on it."""
    scale = min(1.0, WIDEST / picture.width)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    shown = picture.convert("RGB").resize(size)
    pen = ImageDraw.Draw(shown)
    for number, box in enumerate(boxes):
        colour = COLOURS[number % len(COLOURS)]
        pen.rectangle([side * scale for side in box], outline=colour, width=2)
    return shown


def _html(decision: Decision) -> Iterator[str]:
    record = decision.record
    file = io.BytesIO()
    drawn(decision.picture, decision.boxes).save(file, "PNG")
    encoded = base64.b64encode(file.getvalue()).decode()
    yield f'<div><img alt="" src="data:image/png;base64,{encoded}">'
    yield f"<p>{text(record.question)}</p>"
    if record.error is not None:
        yield f"<p><b>No answer</b>: {text(record.error.kind)}: {text(record.error.text)}</p>"
    else:
        yield f"<p><b>{text(record.text or '(no answer)')}</b></p>"
    yield f"<p>{text(' → '.join(_route(decision)))}</p>"
    if record.draft is not None and record.draft.tokens:
        rows = [
            {
                "token": token.text,
                "gap": token.separability,
                "sigmoid(0.6·gap)": _sigmoid(token.separability),
                "logprob": token.logprob,
            }
            for token in record.draft.tokens
        ]
        yield html_table(rows, rows[0])
    for number, said in enumerate(decision.turns, start=1):
        yield f"<details><summary>Turn {number}</summary><pre>{text(said)}</pre></details>"
    yield "</div>"


def _sigmoid(separability: float | None) -> float | None:
    value = math.nan if separability is None else confidence_from_separability(separability)
    return None if math.isnan(value) else value


def _route(decision: Decision) -> Iterator[str]:
    record = decision.record
    if record.passed_screen is not None:
        yield "screen: no tool needed" if record.passed_screen else "screen: a tool may help"
    if record.draft is not None:
        sure = "undefined" if record.draft.confidence is None else f"{record.draft.confidence:.4f}"
        verdict = "accepted" if record.draft.accepted else "turned away"
        yield f"draft {record.draft.text!r}: {decision.gate} {sure}, {verdict}"
    if decision.turns:
        zooms = f", {len(record.tools)} tool calls" if record.tools else ""
        yield f"agent: {len(decision.turns)} turns{zooms}"
    yield f"{record.route} model" if record.error is None else "error"
