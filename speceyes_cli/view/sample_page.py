"""One sample as its page shows it: draft, turns, calls, boxes, verdicts."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from speceyes_cli.core.judging.judges import ClaimKey
from speceyes_cli.core.judging.verdicts import JudgedNote
from speceyes_cli.core.pictures.boxes import Fractions, box_of
from speceyes_cli.core.run.records import (
    AGENT_PHASES,
    CallNote,
    PictureNote,
    Record,
    TokenNote,
    ToolNote,
)
from speceyes_cli.view.pictures import picture_names
from speceyes_cli.view.reading import WholeRecord

WIDEST_GAP = 12.0
"""Standard deviations at which the bar of a token's gap is full; at 6.5 confidence is 0.98."""
MOST_TEXT = 20_000
"""Characters of one text that the page shows; the raw record has all."""
MOST_TOKENS = 400
_THOUGHT = re.compile(r"(?s)\A\s*(?:<think>)?(.*?)</think>(.*)\Z")


class TokenBar(NamedTuple):
    """One token of the draft."""

    text: str
    gap: float | None
    """Separability, in standard deviations of the rivals."""
    gap_share: float
    """Of the bar's width, 0 to 1."""
    probability: float | None
    margin: float | None
    fault: str


class ShownTool(NamedTuple):
    """One call of a tool."""

    number: int
    """Its place among the record's tool calls."""
    note: ToolNote
    arguments: Mapping[str, str]
    box: Fractions | None


class ShownTurn(NamedTuple):
    """One turn of the agent."""

    number: int
    """From 1."""
    thought: str
    text: str
    by: str
    """The model that wrote it: "small" or "large"."""
    call: CallNote | None
    outcome: str
    """"answer", "observation", "tool_error" or empty where the record does not tell."""
    kind: str
    """The error's kind."""
    tools: Sequence[ShownTool]
    pictures: Sequence[int]
    """Pictures that it was shown next, by their place in the record's."""


class ShownAnswer(NamedTuple):
    """One answer and what was found of it."""

    who: str
    text: str
    right: bool | None
    provenance: str
    rule: str
    """What the dataset's rule had found, where a judge has spoken since."""
    judge: JudgedNote | None


@dataclass(frozen=True, slots=True)
class SamplePage:
    """All that the page shows of one record."""

    record: Record
    answers: Sequence[ShownAnswer]
    tokens: Sequence[TokenBar]
    cut_tokens: int
    """Tokens of the draft that are not shown, for there are too many."""
    screen: CallNote | None
    turns: Sequence[ShownTurn]
    boxes: Sequence[tuple[int, Fractions]]
    """Turn and box, for each box that was looked at."""
    phases: Sequence[tuple[str, float]]
    pictures: Sequence[str]


def describe(whole: WholeRecord) -> SamplePage:
    """The record as the page shows it."""
    record = whole.record
    turns = _turns(record)
    draft = record.draft
    shown = draft.tokens[:MOST_TOKENS] if draft is not None else ()
    return SamplePage(
        record=record,
        answers=_answers(whole),
        tokens=[_bar(token) for token in shown],
        cut_tokens=len(draft.tokens) - len(shown) if draft is not None else 0,
        screen=next((c for c in reversed(record.calls) if c.phase == "screen"), None),
        turns=turns,
        boxes=[(turn.number, t.box) for turn in turns for t in turn.tools if t.box is not None],
        phases=[(phase, value) for phase, value in record.phase_seconds.items()],
        pictures=picture_names(record),
    )


def _answers(whole: WholeRecord) -> list[ShownAnswer]:
    record, rule = whole.record, whole.rule
    found = []
    if record.verdict is not None and record.text is not None:
        found.append(_answer("answer", record.text, record.verdict, rule.verdict, whole))
    names = {"small": "draft", "large": "agent"}
    for role, branch in record.branches.items():
        before = rule.branches[role].verdict
        found.append(_answer(names[role], branch.text, branch.verdict, before, whole))
    return found


def _answer(who: str, text: str, verdict: Any, rule: Any, whole: WholeRecord) -> ShownAnswer:
    key = ClaimKey(whole.record.split, whole.record.sample_id, text)
    judged = whole.judged.get(key)
    before = ""
    if judged is not None and rule is not None:
        words = {True: "right", False: "wrong", None: "undecided"}
        before = f"{words[rule.right]} ({rule.provenance})"
    return ShownAnswer(who, text[:MOST_TEXT], verdict.right, verdict.provenance, before, judged)


def _bar(token: TokenNote) -> TokenBar:
    gap = token.separability
    share = 0.0 if gap is None else min(1.0, max(0.0, gap / WIDEST_GAP))
    probability = None if token.logprob is None else math.exp(min(0.0, token.logprob))
    return TokenBar(token.text, gap, share, probability, token.margin, token.fault)


def _turns(record: Record) -> list[ShownTurn]:
    """The agent's turns with their tool calls, as far as the record tells which belong together."""
    notes = [note for note in record.details.get("turns") or () if isinstance(note, Mapping)]
    calls = {phase: [c for c in record.calls if c.phase == phase] for phase in AGENT_PHASES}
    tools = list(enumerate(record.tools))
    shown_next = _pictures_by_turn(record)
    seen = _first_picture(record)
    turns: list[ShownTurn] = []
    for place in range(max(len(notes), len(calls["agent"]) if not notes else 0)):
        note = notes[place] if place < len(notes) else {}
        by = str(note.get("by") or "large")
        written = calls["propose" if by == "small" else "agent"]
        call = written.pop(0) if written else None
        if by == "large" and note.get("by") and calls["propose"]:
            calls["propose"].pop(0)  # what the small model proposed for it did not stand
        text = _written(call)[:MOST_TEXT] if call is not None else ""
        thought = _THOUGHT.match(text)
        turns.append(
            ShownTurn(
                number=place + 1,
                thought=thought[1].strip() if thought else "",
                text=(thought[2] if thought else text).strip(),
                by=by,
                call=call,
                outcome=str(note.get("outcome") or ""),
                kind=str(note.get("kind") or ", ".join(map(str, note.get("kinds") or ()))),
                tools=_take_tools(place, note, tools, seen),
                pictures=shown_next[place] if place < len(shown_next) else (),
            )
        )
    if tools and turns:
        rest = [_tool(number, tool, seen) for number, tool in tools]
        turns[-1] = turns[-1]._replace(tools=[*turns[-1].tools, *rest])
    return turns


def _written(call: CallNote) -> str:
    """What the model wrote, calls that came apart from the text included."""
    return "\n".join((call.text, *(f"{one.name} {one.arguments}" for one in call.calls)))


def _take_tools(
    place: int,
    note: Mapping[str, Any],
    tools: list[tuple[int, ToolNote]],
    seen: PictureNote | None,
) -> list[ShownTool]:
    """The tool calls of a turn, `place` from 0.

    Where calls do not tell their turn, an observation had one, and an error may have come before
    any.
    """
    if tools and _turn_of(tools[0][1]) is not None:
        own: list[ShownTool] = []
        while tools and (told := _turn_of(tools[0][1])) is not None and told <= place:
            own.append(_tool(*tools.pop(0), seen))
        return own
    ran = note.get("outcome") == "observation" or (
        note.get("outcome") == "tool_error" and tools and tools[0][1].outcome == note.get("kind")
    )
    if not ran or not tools:
        return []
    return [_tool(*tools.pop(0), seen)]


def _turn_of(note: ToolNote) -> int | None:
    """The turn that a call tells, from 0."""
    told = note.arguments.get("turn")
    return told if isinstance(told, int) else None


def _tool(number: int, note: ToolNote, seen: PictureNote | None) -> ShownTool:
    arguments = {name: str(value)[:MOST_TEXT] for name, value in note.arguments.items()}
    return ShownTool(number, note, arguments, _box(note, seen))


def _box(note: ToolNote, seen: PictureNote | None) -> Fractions | None:
    """The box that a tool looked at, where it lies in the sample's own picture."""
    if seen is None:
        return box_of(note.arguments)
    if note.arguments.get("picture", seen.picture) != seen.picture:  # within a crop
        return None
    if "frame" in note.arguments:  # as far as whoever wrote the step told
        return box_of(note.arguments)
    return box_of(note.arguments, (seen.width, seen.height))


def _first_picture(record: Record) -> PictureNote | None:
    """The sample's picture as the agent saw it."""
    parts = (part for message in record.conversation for part in message.content)
    return next((part for part in parts if isinstance(part, PictureNote)), None)


def _pictures_by_turn(record: Record) -> list[list[int]]:
    """What the model was shown after each turn: pictures by their place in the record's.

    A turn is a reply of its own, or a part of one message that later turns go on with.
    """
    places = {name: place for place, name in enumerate(picture_names(record))}
    replies = [call.text for call in record.calls if call.phase in AGENT_PHASES]
    shown: list[list[int]] = []
    for message in record.conversation:
        if message.calls and not message.content:
            shown.append([])
        for part in message.content:
            if isinstance(part, PictureNote):
                if shown:
                    shown[-1].append(places[part.picture])
            elif message.role == "assistant" and part in replies:
                shown.append([])
    return shown
