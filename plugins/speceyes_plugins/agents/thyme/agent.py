"""Thyme: the large model writes Python that crops and enhances, within one assistant turn."""

from __future__ import annotations

from collections.abc import Generator

from speceyes_cli.plugin import (
    AgentOptions,
    AgentState,
    Answer,
    Message,
    Observation,
    Picture,
    Reply,
    Run,
    Sample,
    Size,
    ToolError,
    question_text,
    question_turns,
    short_question,
    with_question,
)
from speceyes_plugins.agents.tags import last_tagged, load_prompts, untagged_answer, untagged_code
from speceyes_plugins.agents.thyme.sessions import SandboxSessions
from speceyes_plugins.agents.thyme.texts import Other, check_prompts, opening, results
from speceyes_plugins.sandbox.parent import isolation
from speceyes_plugins.sandbox.values import Backend, State, further_picture

MAX_TURNS = 5  # upstream SpecEyes
MAX_NEW_TOKENS = 2048
BLOCK_SECONDS = 60.0
"""10 s for the block, 10 s for decoding its pictures, a cold start, and a wait for others."""


class Thyme:
    """The agent's methods; code runs in its sessions, off the model's thread."""

    stop: tuple[str, ...] = ("</code>", "</answer>")
    continues_turn = True

    def __init__(self, options: AgentOptions) -> None:
        """Refuse at once where this machine cannot isolate code."""
        self.max_turns = options.max_turns or MAX_TURNS
        self.max_new_tokens = options.max_new_tokens or MAX_NEW_TOKENS
        self.prompts = load_prompts("speceyes_plugins.agents.thyme", options.prompts)
        check_prompts(self.prompts)
        self.question = options.question
        own = options.options
        state: State = "fresh" if own.get("state") == "fresh" else "persist"
        unsafe = own.get("sandbox") == "unsafe-subprocess"
        backend: Backend = "unsafe-subprocess" if unsafe else "auto"
        if backend == "auto":
            isolation.require()
        self._sessions = SandboxSessions(state, backend)

    def screen(self, sample: Sample) -> tuple[Message, ...]:
        """Ask, yes or no, whether image processing would help."""
        question = short_question(sample, self.question)
        text = with_question(self.prompts["screen"], question)
        return question_turns(sample, text, self.prompts["screen_system"])

    def open(self, sample: Sample) -> tuple[Message, ...]:
        """The conversation, its pictures' paths and sizes, and the question."""
        size = Size(*sample.picture.open().size)
        others = [
            Other(place, further_picture(place), Size(*picture.open().size))
            for place, picture in other_pictures(sample)
        ]
        question = question_text(sample, self.question)
        return opening(sample, question, size, self.prompts, others)

    def step(
        self, reply: Reply, state: AgentState
    ) -> Generator[Run, Observation | ToolError, Observation | Answer | ToolError]:
        """An answer ends the loop; code runs; anything else is told to the model."""
        code = last_tagged(reply.text, "code")
        answer = last_tagged(reply.text, "answer")
        if answer is not None and (code is None or answer.start > code.start):
            return Answer(answer.content.strip(), "large")
        block = code.content if code is not None else untagged_code(reply.text)
        if block is None:
            last_turn = state.turn + 1 >= self.max_turns
            untagged = untagged_answer(reply) if last_turn else None
            return untagged or self._complain("no_action", "Neither <code> nor <answer> was found.")
        notes = () if code is not None else ("code without tags",)
        arguments = {"key": state.key, "picture": state.sample.picture, "code": block}
        if others := dict(other_pictures(state.sample)):
            arguments["others"] = others
        seen = yield Run(
            self._sessions.run,
            arguments,
            timeout=BLOCK_SECONDS,
            name="python",
            notes=notes,
        )
        if isinstance(seen, ToolError):
            return self._complain(seen.kind, seen.text)
        shown = results(seen.content, self.prompts["observation"])
        return Observation(shown, (*notes, *seen.notes))

    def _complain(self, kind: str, text: str) -> ToolError:
        """An error in the tags the model knows results by."""
        shown = results((text,), self.prompts["observation"])
        return ToolError(kind, "".join(part for part in shown if not isinstance(part, Picture)))

    def forget(self, key: str) -> None:
        """The trajectory has ended: its interpreter and files go."""
        self._sessions.forget(key)

    def close(self) -> None:
        """The run has ended: the sandbox goes."""
        self._sessions.close()


def other_pictures(sample: Sample) -> list[tuple[int, Picture]]:
    """The pictures of the conversation beside the one asked about, with their places."""
    return [(i, one) for i, one in enumerate(sample.pictures) if one is not sample.picture]
