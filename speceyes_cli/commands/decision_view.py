"""The decision on one question, shown as it happens."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Self

from rich.console import Console
from rich.panel import Panel
from rich.status import Status
from rich.table import Table
from rich.text import Text

from speceyes_cli.core.chat import Ask, Observation, Picture, Reply, Run
from speceyes_cli.core.errors import PictureError
from speceyes_cli.core.gate.decision import Gate, confidence_from_separability
from speceyes_cli.core.gate.token import is_tied
from speceyes_cli.core.methods.policies import lets_on, written_out
from speceyes_cli.core.methods.thinking import without_thought
from speceyes_cli.core.replies.scores import read_score
from speceyes_cli.core.run.records import Record
from speceyes_cli.core.scheduling.trajectories import Asked, Ran
from speceyes_cli.core.text import one_line, strip_control

_DOING = {
    "screen": "asks whether a tool would help",
    "draft": "drafts",
    "propose": "proposes a step",
    "score": "scores the step",
    "agent": "works",
}


class DecisionView:
    """An observer of the scheduler that prints each event; use as a context."""

    def __init__(self, console: Console, gate: Gate, *, gated: bool) -> None:
        """`gated`: the gate's verdict decides, and is shown."""
        self._console = console
        self._gate = gate
        self._gated = gated
        self._passed = True
        self._turn = 0
        self._proposed = False
        self._status: Status | None = console.status("…") if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def __call__(self, key: str, event: Ask | Run | Asked | Ran) -> None:
        """Show one event of the trajectory."""
        del key
        match event:
            case Ask():
                self._say(f"The {event.role} model {_DOING.get(event.phase, 'is asked')}…")
            case Run():
                self._say(f"{event.name} runs…")
            case Ran():
                self._ran(event)
            case Asked():
                shows: dict[str, Callable[[Ask, Reply], None]] = {
                    "screen": self._screen,
                    "draft": self._draft,
                    "score": self._score,
                }
                shows.get(event.ask.phase, self._step)(event.ask, event.reply)

    def _say(self, text: str) -> None:
        if self._status is not None:
            self._status.update(Text(text))

    def _line(self, head: str, text: str, style: str = "") -> None:
        self._console.print(Text.assemble((f"{head}  ", "bold"), (text, style)), soft_wrap=True)

    def _screen(self, ask: Ask, reply: Reply) -> None:
        self._passed = lets_on(ask, reply.text)
        said = one_line(reply.text) or "nothing"
        what = "a tool may help, on to the agent"
        if self._passed:
            what = "no tool needed, on to the draft"
        self._line("Screen", f"{ask.role} model: {said!r} → {what} {_took(reply)}")

    def _draft(self, ask: Ask, reply: Reply) -> None:
        if ask.scored_after:
            self._line("Thought", one_line(reply.text.partition(ask.scored_after)[0]), "dim")
        reply = without_thought(reply, scored_after=ask.scored_after)
        text = one_line(reply.text) or "nothing"
        self._line("Draft", f"{ask.role} model: {text!r} {_took(reply)}")
        if reply.statistics:
            self._console.print(_token_table(reply))
        if not self._gated:
            return
        confidence = self._gate.confidence(reply)
        accepted = self._passed and self._gate.accepts(reply)
        shown = "undefined" if math.isnan(confidence) else f"{confidence:.4f}"
        relation = ">" if confidence > self._gate.threshold else "≤"
        if math.isnan(confidence) or (relation == ">" and not accepted):
            relation = f"but {_hindrance(reply, self._passed)}; bar"
        verdict = "accepted" if accepted else "turned away, the agent answers"
        self._line(
            "Gate",
            f"{self._gate.name} {shown} {relation} {self._gate.threshold:g} → {verdict}",
            "green" if accepted else "yellow",
        )

    def _score(self, ask: Ask, reply: Reply) -> None:
        score = read_score(reply.text)
        stands = score is not None and score >= self._gate.threshold
        shown = "no digit" if score is None else str(score)
        verdict = "the step stands" if stands else f"the {ask.role} model writes the step itself"
        least = f"{self._gate.threshold:g}"
        self._line("Score", f"{shown} of 9, {least} needed → {verdict} {_took(reply)}")

    def _step(self, ask: Ask, reply: Reply) -> None:
        rewritten = self._proposed and ask.phase == "agent"
        self._proposed = ask.phase == "propose"
        self._turn += not rewritten
        self._line(f"Turn {self._turn}", f"{ask.role} model {_took(reply)}")
        written = strip_control(written_out(reply)).strip() or "(nothing)"
        self._console.print(Text(written), soft_wrap=True)

    def _ran(self, event: Ran) -> None:
        run, outcome, seconds = event
        told = {k: _plain(v) for k, v in run.arguments.items() if k not in ("picture", "key")}
        self._line("Tool", f"{run.name} {one_line(str(told), 300)} ({seconds:.2f} s)")
        for note in run.notes:
            self._line("  mended", one_line(note), "dim")
        if not isinstance(outcome, Observation):
            self._line("  →", f"{outcome.kind}: {one_line(outcome.text)}", "yellow")
            return
        for part in outcome.content:
            text = _picture_size(part) if isinstance(part, Picture) else one_line(part)
            if text:
                self._line("  →", text)
        for note in outcome.notes:
            self._line("  note", one_line(note), "dim")


def closing(record: Record) -> Panel:
    """The answer, who gave it, and what it cost; or what went wrong."""
    if record.error is not None:
        where = f" in {record.error.phase}" if record.error.phase else ""
        body = Text(one_line(f"{record.error.kind}{where}: {record.error.text}"), "red")
        return Panel(body, title="No answer", title_align="left")
    body = Text(strip_control(record.text or "") or "(no answer)", "bold")
    cost = f"{record.seconds:.2f} s · {record.small_tokens} + {record.large_tokens} tokens"
    body.append(f"\n{record.route} model · {cost} (small + large)", "not bold dim")
    if stopped := record.details.get("stopped"):
        body.append(f"\nThe agent stopped without an answer: {stopped}", "not bold yellow")
    return Panel(body, title="Answer", title_align="left")


def _hindrance(reply: Reply, passed: bool) -> str:
    """What keeps a draft from standing though its confidence is not too low."""
    if not passed:
        return "the screen held it back"
    if reply.finish != "stop":
        return "the draft did not end by itself"
    if not reply.text.strip():
        return "the draft is empty"
    if is_tied(reply.statistics):
        return "a tie of two logits decided a token"
    return "its tokens have no score"


def _token_table(reply: Reply) -> Table:
    """Each scored token: how clear it stood, and the confidence that alone would give."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("  token")
    for name in ("gap S", "sigmoid(0.6·S)", "probability", "z₁ - z₂"):
        table.add_column(name, justify="right")
    pieces = reply.pieces or ("",) * len(reply.statistics)
    for number, (piece, score) in enumerate(zip(pieces, reply.statistics, strict=False), start=1):
        shown = repr(one_line(piece)) if piece.strip() else f"{number}"
        table.add_row(
            Text(f"  {shown}"),
            _number(score.separability, 2),
            _number(confidence_from_separability(score.separability), 4),
            _number(math.exp(min(0.0, score.logprob)), 4),
            _number(score.margin, 2),
        )
    return table


def _number(value: float, places: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{places}f}"


def _took(reply: Reply) -> str:
    return f"({reply.seconds:.2f} s{', cached' if reply.cached else ''})"


def _picture_size(picture: Picture) -> str:
    try:
        width, height = picture.open().size
    except PictureError as error:
        return str(error)
    return f"picture {one_line(picture.name)}: {width}×{height} pixels"


def _plain(value: object) -> object:
    return value.name if isinstance(value, Picture) else value
