"""What is kept of one finished sample: typed, versioned, without tensors or pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from speceyes_cli.core.chat import Role
from speceyes_cli.core.text import writable

SCHEMA_VERSION = 1
DEEPEST = 50
"""Levels of lists and objects that are kept; what lies deeper is cut."""


def plain_json(value: Any, *, depth: int = 0) -> Any:
    """The value with nothing JSON lacks: NaN and infinities become null, strangers their text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping | list | tuple | set | frozenset) and depth >= DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        return {
            writable(str(key)): plain_json(item, depth=depth + 1) for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [plain_json(item, depth=depth + 1) for item in value]
    if value is None or isinstance(value, int):
        return value
    return writable(str(value))


def _writable(text: Any) -> Any:
    """Text without lone surrogates, which no file can hold; anything else as it is."""
    return writable(text) if isinstance(text, str) else text


Number = Annotated[float | None, BeforeValidator(plain_json)]
"""A finite number, or None where it is undefined."""
Text = Annotated[str, BeforeValidator(_writable)]
Json = Annotated[dict[str, Any], BeforeValidator(plain_json)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


AGENT_PHASES = ("agent", "propose")
"""Phases in which an agent's turns are written: by the large model, and by the small one."""


class PictureNote(_Model):
    """A picture in a message: its name, never its pixels."""

    picture: Text
    """The name of the picture, or of the crop."""
    width: int | None = None
    """Pixels the model saw across; None when the engine did not tell."""
    height: int | None = None
    """Pixels the model saw down; None when the engine did not tell."""


class NativeCall(_Model):
    """A call that an endpoint gave apart from the text."""

    name: Text
    """The function."""
    arguments: Text
    """JSON as the model wrote it."""
    id: Text = ""
    """What the endpoint knows it by."""


class MessageNote(_Model):
    """One chat turn without pixels."""

    role: Literal["system", "user", "assistant", "tool"]
    """Whose turn it is."""
    content: tuple[Text | PictureNote, ...]
    """Texts and pictures in the order the model read them."""
    calls: tuple[NativeCall, ...] = ()
    """An assistant's calls that are not in its text."""
    call_id: Text = ""
    """Which of them a tool's message answers."""


class TokenNote(_Model):
    """How one token of a draft stood among its rivals; None where undefined."""

    text: Text = ""
    """The token's text, where the engine told."""
    separability: Number
    """Gap of the top logit to the mean of its rivals, in their standard deviations."""
    logprob: Number
    """Natural log of the top token's probability."""
    margin: Number
    """Gap of the top logit to the second, in logits."""
    entropy: Number
    """Entropy of the top K, in nats."""
    fault: str = ""
    """Why they are undefined: "nan", "infinite" or "too_few" finite logits."""
    rivals: tuple[float, ...] = ()
    """How far each rival lies below the top logit, nearest first; kept by both-branches runs."""


class CallNote(_Model):
    """One call of a model."""

    role: Role
    """The model that was asked."""
    phase: Text
    """What for: "screen", "draft", "agent", or SpecReason's "propose" and "score"."""
    text: Text
    """What it replied."""
    tokens: int
    """Generated tokens."""
    finish: Literal["stop", "length", "rejected"]
    """How the reply ended."""
    seconds: Number
    """Its share of its batch's wall time."""
    cached: bool = False
    """Replayed from the call cache: `seconds` were measured when the call was made."""
    prompt_tokens: int | None = None
    """Tokens of the prompt, its pictures' included; None where the engine did not tell."""
    cached_tokens: int = 0
    """How many of these were not read anew."""
    calls: tuple[NativeCall, ...] = ()
    """Calls of tools that are not in its text."""


class ToolNote(_Model):
    """One call of a tool."""

    name: Text
    """The tool."""
    arguments: Json
    """What it was called with; pictures by name."""
    outcome: Text
    """"ok", or the kind of its error."""
    text: Text
    """The text it gave back, or its error's."""
    notes: tuple[Text, ...]
    """What was mended in the call, then what the tool repaired or clamped on the way."""
    seconds: Number
    """Wall time."""


class DraftNote(_Model):
    """The small model's answer as the gate saw it."""

    text: Text
    """The draft."""
    accepted: bool
    """Whether the gate let it stand."""
    confidence: Number
    """The gate's score in 0..1; None when undefined."""
    tokens: tuple[TokenNote, ...]
    """One entry per generated token."""
    tied_tokens: int
    """Tokens that were as good as tied with a rival: a coin flip that separability cannot see."""
    lowest_margin: Number
    """The smallest gap between first and second logit."""
    lowest_probability: Number
    """The smallest probability of a top token."""


class VerdictNote(_Model):
    """Whether the answer is right."""

    right: bool | None
    """None: undecided."""
    provenance: Text
    """How it was found, such as "letter" or "text"."""


class BranchNote(_Model):
    """One of the two answers of a both-branches run."""

    text: Text
    """The answer of this branch."""
    verdict: VerdictNote
    """The dataset's rule on it."""


class ErrorNote(_Model):
    """Why a sample has no answer."""

    kind: Text
    """The error's class."""
    text: Text
    """Its message."""
    phase: Text | None
    """The phase or tool at work when it came."""
    place: Text = ""
    """File and line in the plugin that raised it, and whose it is; empty where no plugin did."""
    traceback: Text = ""
    """The end of its traceback; empty for an error that its text explains, as a bad picture's."""


class Record(_Model):
    """Everything kept of one sample."""

    schema_version: int = SCHEMA_VERSION
    """Version of this layout."""
    sample_id: Text
    """Unique within the split."""
    split: Text
    """The dataset's split."""
    position: int
    """Place of the sample in its split, from 0."""
    question: Text
    """The question asked."""
    options: tuple[Text, ...]
    """Option texts in the order shown."""
    answer: Text | None
    """The known right answer."""
    category: Text | None
    """The dataset's group."""
    cluster: Text | None
    """Samples that share this are not independent."""
    meta: Json
    """What the dataset added."""
    row_digest: str | None = None
    """Digest of question, options, answer and category, by which a resume tells that they changed;
    None in records of earlier versions."""
    picture_digest: str | None = None
    """Digest of the encoded picture; None where it has none or could not be read."""
    route: Literal["small", "large", "error"]
    """Who answered."""
    text: Text | None
    """The answer given; None after an error."""
    confidence: Number
    """The gate's score of the draft in 0..1; None without a draft or when undefined."""
    passed_screen: bool | None
    """Whether the screen let the sample on to the draft; None when there was no screen."""
    draft: DraftNote | None
    """The draft; None when none was made."""
    details: Json
    """What the policy added, such as how each turn ended."""
    verdict: VerdictNote | None
    """The dataset's rule on the answer; None after an error."""
    branches: dict[Role, BranchNote] = {}
    """Both models' answers, where both were run: for every sample, or in an audit."""
    error: ErrorNote | None
    """Why there is no answer; None when there is one."""
    calls: tuple[CallNote, ...]
    """Every call of a model, in order."""
    tools: tuple[ToolNote, ...]
    """Every call of a tool, in order."""
    messages: dict[str, tuple[MessageNote, ...]]
    """The whole conversation of each phase, the last reply included."""
    small_tokens: int
    """Tokens the small model generated."""
    large_tokens: int
    """Tokens the large model generated."""
    phase_seconds: dict[str, float]
    """Seconds per phase and under "tool": model time is the share of each batch."""
    seconds: float
    """Sum of the phases: what the sample cost."""
    cached_seconds: float = 0.0
    """How many of these were not measured in this run: its calls came from the call cache."""
    elapsed: float
    """Wall time from admission to end, waiting for other samples included."""

    @property
    def conversation(self) -> tuple[MessageNote, ...]:
        """The agent's, as far as it came: with SpecReason either model may have written the end."""
        told = [self.messages[phase] for phase in AGENT_PHASES if phase in self.messages]
        return max(told, key=_parts_before_reply, default=())


def _parts_before_reply(messages: tuple[MessageNote, ...]) -> int:
    return sum(len(message.content) for message in messages[:-1])
