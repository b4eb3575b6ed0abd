"""From a trajectory that has ended to the record that is kept of it."""

from __future__ import annotations

import math
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from speceyes_cli.core.chat import (
    Answer,
    Ask,
    Message,
    Observation,
    Picture,
    Reply,
    Role,
    Size,
    ToolCall,
)
from speceyes_cli.core.digests import digest_row
from speceyes_cli.core.errors import SpecEyesError
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.gate.scores import diagnose_ties
from speceyes_cli.core.gate.token import score_fields
from speceyes_cli.core.methods.policies import lets_on
from speceyes_cli.core.methods.thinking import without_thought
from speceyes_cli.core.run.records import (
    BranchNote,
    CallNote,
    DraftNote,
    ErrorNote,
    MessageNote,
    NativeCall,
    PictureNote,
    Record,
    TokenNote,
    ToolNote,
    VerdictNote,
    plain_json,
)
from speceyes_cli.core.samples import Sample, Verdict
from speceyes_cli.core.scheduling.trajectories import Asked, Finished, Ran

ERROR_TEXT_LIMIT = 2_000
"""Characters of an error's text that are kept."""
TRACEBACK_LIMIT = 4_000
"""Characters of its traceback that are kept, from its end."""


def build_record(
    sample: Sample,
    position: int,
    finished: Finished,
    gate: Gate,
    verdict: Verdict | None,
    branches: Mapping[Role, Verdict] | None = None,
) -> Record:
    """The record of a trajectory that has ended; `branches` judges the answer's branches."""
    asked = [event for event in finished.events if isinstance(event, Asked)]
    ran = [event for event in finished.events if isinstance(event, Ran)]
    answer = finished.answer
    seconds = _phase_seconds(asked, ran)
    return Record(
        sample_id=sample.id,
        split=sample.split,
        position=position,
        question=sample.question,
        options=sample.options,
        answer=sample.answer,
        category=sample.category,
        cluster=sample.cluster,
        meta=dict(sample.meta),
        row_digest=digest_row(sample),
        picture_digest=sample.picture.digest(),
        route=answer.source if answer else "error",
        text=answer.text if answer else None,
        confidence=answer.confidence if answer else None,
        passed_screen=_passed_screen(asked),
        draft=_draft_note(asked, answer, gate),
        details=dict(answer.details) if answer else {},
        verdict=_verdict_note(verdict) if verdict else None,
        branches={
            role: BranchNote(text=answer.branches[role], verdict=_verdict_note(judged))
            for role, judged in (branches or {}).items()
        }
        if answer
        else {},
        error=_error_note(finished),
        calls=tuple(_call_note(event) for event in asked),
        tools=tuple(_tool_note(event) for event in ran),
        messages=_conversations(asked),
        small_tokens=sum(e.reply.tokens for e in asked if e.ask.role == "small"),
        large_tokens=sum(e.reply.tokens for e in asked if e.ask.role == "large"),
        phase_seconds=seconds,
        seconds=math.fsum(seconds.values()),
        cached_seconds=math.fsum(e.reply.seconds for e in asked if e.reply.cached),
        elapsed=finished.elapsed,
    )


def _phase_seconds(asked: Sequence[Asked], ran: Sequence[Ran]) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for event in asked:
        phase = event.ask.phase or event.ask.role
        seconds[phase] = seconds.get(phase, 0.0) + (plain_json(event.reply.seconds) or 0.0)
    if ran:
        seconds["tool"] = math.fsum(event.seconds for event in ran)
    return seconds


def _passed_screen(asked: Sequence[Asked]) -> bool | None:
    screens = [event for event in asked if event.ask.phase == "screen"]
    return lets_on(screens[-1].ask, screens[-1].reply.text) if screens else None


def _draft_note(asked: Sequence[Asked], answer: Answer | None, gate: Gate) -> DraftNote | None:
    drafts = [event for event in asked if event.ask.gate is not None]
    if not drafts:
        return None
    ask, reply = drafts[-1]
    reply = without_thought(reply, scored_after=ask.scored_after)
    ties = diagnose_ties(reply.statistics)
    return DraftNote(
        text=reply.text,
        # After a failure the answer is not there to tell: both branches may have been run.
        accepted=gate.accepts(reply) if answer is None else answer.source == "small",
        confidence=gate.confidence(reply),
        tokens=token_notes(reply),
        tied_tokens=ties.tied_tokens,
        lowest_margin=ties.lowest_margin,
        lowest_probability=ties.lowest_probability,
    )


def _verdict_note(verdict: Verdict) -> VerdictNote:
    return VerdictNote(right=verdict.right, provenance=verdict.provenance)


def token_notes(reply: Reply) -> tuple[TokenNote, ...]:
    """Each scored token of a draft; texts are empty where the engine does not tell them."""
    told = len(reply.pieces) == len(reply.statistics)
    pieces = reply.pieces if told else ("",) * len(reply.statistics)
    return tuple(
        TokenNote(text=piece, **score_fields(score))
        for piece, score in zip(pieces, reply.statistics, strict=True)
    )


def _call_note(event: Asked) -> CallNote:
    ask, reply = event
    return CallNote(
        role=ask.role,
        phase=ask.phase,
        text=reply.text,
        tokens=reply.tokens,
        finish=reply.finish,
        seconds=reply.seconds,
        cached=reply.cached,
        prompt_tokens=reply.prompt_tokens,
        cached_tokens=reply.cached_tokens,
        calls=_native_calls(reply.calls),
    )


def _native_calls(calls: Sequence[ToolCall]) -> tuple[NativeCall, ...]:
    return tuple(NativeCall(name=c.name, arguments=c.arguments, id=c.id) for c in calls)


def _tool_note(event: Ran) -> ToolNote:
    run, outcome, seconds = event
    return ToolNote(
        name=run.name,
        arguments={key: without_pixels(value) for key, value in run.arguments.items()},
        outcome="ok" if isinstance(outcome, Observation) else outcome.kind,
        text="".join(part for part in outcome.content if isinstance(part, str))
        if isinstance(outcome, Observation)
        else outcome.text,
        notes=(*run.notes, *outcome.notes),
        seconds=seconds,
    )


def without_pixels(value: Any) -> Any:
    """An argument with the names of its pictures in their places."""
    if isinstance(value, Mapping):
        return {key: without_pixels(item) for key, item in value.items()}
    return value.name if isinstance(value, Picture) else value


def _conversations(asked: Sequence[Asked]) -> dict[str, tuple[MessageNote, ...]]:
    """The last ask of each phase holds the whole conversation; its reply ends it."""
    last = {event.ask.phase or event.ask.role: event for event in asked}
    return {phase: _conversation(event.ask, event.reply) for phase, event in last.items()}


def _conversation(ask: Ask, reply: Reply) -> tuple[MessageNote, ...]:
    sizes = iter(reply.frames)
    notes = [_message_note(message, sizes) for message in ask.messages]
    said = MessageNote(role="assistant", content=(reply.text,), calls=_native_calls(reply.calls))
    return (*notes, said)


def _message_note(message: Message, sizes: Any) -> MessageNote:
    content: list[str | PictureNote] = []
    for part in message.content:
        if isinstance(part, str):
            content.append(part)
        else:
            size: Size | None = next(sizes, None)
            width, height = size or (None, None)
            content.append(PictureNote(picture=part.name, width=width, height=height))
    return MessageNote(
        role=message.role,
        content=tuple(content),
        calls=_native_calls(message.calls),
        call_id=message.call_id,
    )


def _error_note(finished: Finished) -> ErrorNote | None:
    if finished.error is None:
        return None
    return ErrorNote(
        kind=type(finished.error).__name__,
        text=str(finished.error)[:ERROR_TEXT_LIMIT],
        phase=finished.failed_in,
        place="; ".join(getattr(finished.error, "__notes__", ())),
        traceback=_traceback(finished.error),
    )


def _traceback(error: Exception) -> str:
    """The end of an error's traceback; empty for an error that its sentence explains."""
    if isinstance(error, SpecEyesError) and error.__cause__ is None:
        return ""
    return "".join(traceback.format_exception(error))[-TRACEBACK_LIMIT:]
