"""The values that travel between a policy, the scheduler, an engine and a tool."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from PIL import Image

from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.gate.token import TokenScore

Role = Literal["small", "large"]
Finish = Literal["stop", "length", "rejected"]
BoxFrame = Literal["pixels", "relative"]
"""What a model's boxes are measured in: pixels of the picture as it saw it (Qwen2.5-VL), or 0 to
1000 across and down the whole picture (Qwen3-VL and later)."""


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


def unknown_digest() -> None:
    """The digest of a picture that is drawn, cut from another, or comes from elsewhere."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Picture:
    """A picture that is decoded only when a model or a tool looks at it.

    `name` identifies it in records; `open` returns an RGB image and may raise
    `speceyes_cli.core.errors.PictureError`.
    """

    name: str
    open: Callable[[], Image.Image]
    digest: Callable[[], str | None] = unknown_digest
    """A digest of the encoded picture, by which a run tells that it was exchanged; None when there
    is none, or the picture cannot be read."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that a model may call, as chat templates and OpenAI's interface know it."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """Its arguments, as a JSON schema."""

    def as_json(self) -> dict[str, Any]:
        """The form that templates and endpoints take."""
        return {
            "type": "function",
            "function": {
                "name": self.name,
                "description": self.description,
                "parameters": self.parameters,
            },
        }


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that came apart from the text, as an endpoint gives it."""

    name: str
    arguments: str
    """JSON as the model wrote it: nobody has read it yet."""
    id: str = ""
    """What the endpoint knows the call by; its answer says it again."""


@dataclass(frozen=True, slots=True)
class Message:
    """One chat turn: text and pictures in the order the model reads them."""

    role: Literal["system", "user", "assistant", "tool"]
    content: tuple[str | Picture, ...]
    calls: tuple[ToolCall, ...] = ()
    """An assistant's calls that are not in its text."""
    call_id: str = ""
    """Which call a tool's message answers; empty where the call was read from the text."""


def chat_pictures(messages: Iterable[Message]) -> list[Picture]:
    """A chat's pictures, in the order the model reads them."""
    return [part for one in messages for part in one.content if isinstance(part, Picture)]


@dataclass(frozen=True, slots=True)
class Ask:
    """A policy wants text from a model; decoding is greedy."""

    role: Role
    messages: tuple[Message, ...]
    max_new_tokens: int
    stop: tuple[str, ...] = ()
    """The reply ends once its text ends with one of these; the suffix stays in the text."""
    gate: Gate | None = None
    """Given: every token is scored, and a draft that can no longer pass may end as "rejected"."""
    continue_turn: bool = False
    """The last message is an unfinished assistant turn that the model goes on with."""
    trajectory: str = ""
    """Asks with the same value belong together; an engine may keep their pictures and cache.

    Policies leave it empty; the scheduler fills it in.
    """
    phase: str = ""
    """What the ask is for ("screen", "draft", "agent"): time and tokens are summed under it."""
    scored_after: str = ""
    """Given: only tokens after the first occurrence of this text are scored, once it has come."""
    watch: Callable[[str], None] | None = field(default=None, compare=False, repr=False)
    """Given: called now and then with the text so far while it is written, on the engine's thread.

    It returns at once and raises nothing. An engine that gets whole texts only never calls it.
    """
    tools: tuple[Tool, ...] = ()
    """Functions that the model may call: told in the form that its chat template has for them."""
    as_paper: bool = False
    """A screen whose reply lets the sample on where it begins with "no", as in the paper's code."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered."""

    text: str
    tokens: int
    """Generated tokens, the end-of-sequence token not counted."""
    finish: Finish
    statistics: tuple[TokenScore, ...] = ()
    """One per generated token before the end of sequence; empty unless the ask had a gate."""
    seconds: float = 0.0
    """This ask's share of its batch's wall time."""
    frames: tuple[Size, ...] = ()
    """Each picture of the ask as the model saw it, after resizing."""
    box_frame: BoxFrame | None = None
    """What the model's boxes are measured in; None where the engine cannot tell."""
    pieces: tuple[str, ...] = ()
    """The text of each token in `statistics`, where the engine tells; empty otherwise."""
    cached: bool = False
    """Replayed from the call cache: `seconds` were measured when the call was made."""
    prompt_tokens: int | None = None
    """Tokens of the prompt, its pictures' included; None where the engine does not tell."""
    cached_tokens: int = 0
    """How many of these were not read anew, since they are as in an earlier call."""
    calls: tuple[ToolCall, ...] = ()
    """Calls that the engine was given apart from the text; others stand in the text as written."""


@dataclass(frozen=True, slots=True)
class Run:
    """A policy wants a tool executed, off the model's thread."""

    tool: Callable[..., Observation | ToolError]
    arguments: Mapping[str, Any]
    timeout: float = 10.0
    name: str = "tool"
    notes: tuple[str, ...] = ()
    """What was mended in the call before it could run; kept in the record."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What a tool gives back, in the order the model reads it."""

    content: tuple[str | Picture, ...]
    notes: tuple[str, ...] = ()
    """What was repaired or clamped on the way; kept in the record, not shown to the model."""


@dataclass(frozen=True, slots=True)
class ToolError:
    """A tool call that failed; the text is told to the model and the loop goes on."""

    kind: str
    """A short stable word such as "bad_json" or "bad_box": counted in records."""
    text: str
    notes: tuple[str, ...] = ()
    """What was repaired before it failed; kept in the record, not shown to the model."""


@dataclass(frozen=True, slots=True)
class ToolResults:
    """What the calls of one turn came to; each is told to the model as the answer to its call."""

    results: tuple[Observation | ToolError, ...]
    """One for each call of the reply, in their order."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Ends a policy."""

    text: str
    source: Role
    confidence: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    """Facts for the record: the screen's word, the draft, why the agent stopped."""
    branches: Mapping[Role, str] = field(default_factory=dict)
    """Each model's answer, where the policy ran both to the end."""


class Engine(Protocol):
    """A model behind one role."""

    @property
    def max_batch(self) -> int:
        """Asks it takes at once (1 for a remote endpoint)."""

    @property
    def workers(self) -> int:
        """Calls it takes side by side (1 for a local model)."""

    @property
    def group(self) -> str:
        """Engines of one group share `workers`: two models on one device never compute at once."""

    def generate(self, asks: Sequence[Ask]) -> Sequence[Reply | Exception]:
        """Answer each ask; an ask that cannot be answered yields its exception in its place.

        A call that raises is tried once more, each of its asks alone.
        """

    def forget(self, trajectory: str) -> None:
        """The trajectory has ended: drop whatever was kept for it (on a worker of this engine)."""

    def describe(self) -> Mapping[str, Any]:
        """Model, revision, dtype, pixel budget, …: JSON values for `run.json`."""

    def close(self) -> None:
        """Release the model."""


@runtime_checkable
class Preparing(Protocol):
    """What an engine also has when it can begin on asks before they are its turn."""

    def prepare(self, asks: Sequence[Ask]) -> None:
        """These will probably come next. Returns at once, and raises nothing."""


@runtime_checkable
class Introduced(Protocol):
    """What an engine also has when it found out something that its user should read."""

    @property
    def introduction(self) -> str:
        """What was found, in one line."""


class ForwardingError(Exception):
    """A chat completion that was handed on was not answered; the text is one sentence."""

    def __init__(self, status: int, text: str, param: str | None = None) -> None:
        super().__init__(text)
        self.status = status
        """The HTTP status that it comes to."""
        self.param = param
        """The field at fault, where that was told."""


@runtime_checkable
class Forwarding(Protocol):
    """What an engine also has when it takes a chat completion as a client wrote it."""

    def forward(
        self, body: Mapping[str, Any], emit: Callable[[Mapping[str, Any]], None]
    ) -> Future[None]:
        """Have OpenAI's request answered untouched, its model's name alone exchanged.

        `emit` is called with the completion, or with each chunk of a stream, on a thread of the
        engine's. Cancelling the future drops the request. It raises `ForwardingError`.
        """


@runtime_checkable
class Rehearsing(Protocol):
    """What an engine also has when it can tell, unasked, what would not reach its model."""

    def rehearse(self, ask: Ask) -> str | None:
        """What the model would not read of this ask, in words; None: it reads all of it.

        A run begins with a conversation in the form of its agent's; nothing is answered.
        """
