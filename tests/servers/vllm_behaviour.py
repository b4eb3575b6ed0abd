"""What the look-alike server does, as tests set it, and how busy it was."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Load:
    """How busy the server was."""

    places: int = 64
    now: int = 0
    most: int = 0
    served: int = 0
    began: float | None = None
    """When all places were first taken."""
    arrived: float = 0.0
    """When the latest request came."""
    busy: float = 0.0
    """Place-seconds from `began` to `arrived`."""
    _pending: float = 0.0
    _changed: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def change(self, by: int) -> None:
        """A request came (1) or was answered (-1)."""
        with self._lock:
            instant = time.monotonic()
            self._pending += min(self.now, self.places) * (instant - self._changed)
            self._changed = instant
            self.now += by
            self.most = max(self.most, self.now)
            if by > 0 and self.began is not None:
                self.busy += self._pending
                self._pending, self.arrived = 0.0, instant
            if self.began is None and self.now >= self.places:
                self.began, self._pending = instant, 0.0
            self.served += by < 0

    def share(self) -> float | None:
        """Mean share of places taken while more was to come; None when it never filled."""
        if self.began is None or self.arrived <= self.began:
            return None
        return self.busy / ((self.arrived - self.began) * self.places)


@dataclass
class Behaviour:
    """What the server does, and what it was asked; tests change it while it runs."""

    model: str = "eyes"
    key: str = ""
    max_logprobs: int = 64
    context: int = 4096
    """Tokens of prompt and answer together."""
    processed: bool = False
    """Log-probabilities after the repetition penalty instead of before it."""
    logits: bool = False
    """Logits in the place of log-probabilities, as with `--logprobs-mode raw_logits`."""
    samples: bool = False
    """It takes the second likeliest token, as by a penalty or a temperature of its own."""
    keeps_open: bool = True
    """Connections serve more than one request."""
    masked: bool = False
    """-9999 among the log-probabilities."""
    logprobs: bool = True
    """False: the fields are taken and ignored."""
    eos_entry: bool = True
    """The end of sequence has an entry among the log-probabilities."""
    pictures: int = 999
    """Pictures it takes in a request; 0: a text-only model."""
    takes_budget: bool = True
    """`mm_processor_kwargs` count."""
    trusts_budget: bool = True
    """False: they are refused, as without `--trust-request-mm-kwargs`."""
    continues: bool = True
    """`continue_final_message` counts."""
    drops: bool = False
    """Its chat template leaves the pictures of an assistant turn out."""
    keeps_stop: bool = True
    """`include_stop_str_in_output` counts."""
    tells_stop: bool = True
    """The stop text at which it ended is told."""
    refuses: tuple[str, ...] = ()
    """Fields that it does not know, and refuses: OpenAI's and `transformers serve`'s way."""
    reasons: bool = False
    """A reasoning parser takes the thought out of the answer."""
    hides_thought: bool = False
    """The thought's tokens are not among the log-probabilities."""
    thought: str = ""
    """A thought of the model, before each answer."""
    tools: str = "text"
    """"calls": it has a parser for the model's calls. "text": it has none, and takes tools with
    `tool_choice` "none" only, as vLLM does by default. "dropped": it takes them, and its template
    has no place for them. "refused": it knows no tools."""
    tool_pictures: str = "shown"
    """What becomes of a picture in a tool's message: "shown", "dropped" or "refused"."""
    says: deque[str] = field(default_factory=deque)
    """What is said in the place of the model's own words, one for each request, probes apart."""
    hangs: bool = False
    """A chat request is never answered."""
    usage: bool = True
    page: bool = False
    """Every answer is a web page, as from a proxy."""
    delay: float = 0.0
    """Seconds before every chat answer."""
    pace: float = 0.0
    """Seconds between the pieces of a stream."""
    faults: deque[str] = field(default_factory=deque)
    """One for each chat request to come: "429", "500", "503", "cut", "drip", "page", "garbage",
    "odd", "echo" or ""."""
    canned: str = "<answer>A</answer>"
    """What is said without a model."""
    bodies: list[dict[str, Any]] | None = None
    """Chat requests as they came, where a list is given."""
    load: Load = field(default_factory=Load)
    ended: threading.Event = field(default_factory=threading.Event)
    """Set when the test has ended: what hangs may go."""
