"""Which of a clone's texts is the prompt that is wanted: by how it is used, then by its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from speceyes_cli.plugin import FoundPrompt, UsageError, one_line
from speceyes_plugins.agents.clones.clone import Clone, Module
from speceyes_plugins.agents.clones.messages import Said, said_in
from speceyes_plugins.agents.clones.statements import returned
from speceyes_plugins.agents.clones.templates import as_template
from speceyes_plugins.agents.clones.values import PICTURE, Items, Part, Place, Table, Text, Value

__all__ = ["Candidate", "Search", "Wanted"]

PHASES = (
    ("screen", re.compile(r"judge|screen|route", re.IGNORECASE)),
    ("score", re.compile(r"score|utility|verif", re.IGNORECASE)),
    ("draft", re.compile(r"answer|draft", re.IGNORECASE)),
    ("tool", re.compile(r"process_messages|tool|observ", re.IGNORECASE)),
    ("agent", re.compile(r"init_messages|evaluat|agent|process", re.IGNORECASE)),
)
"""What a function builds messages for, by the first pattern that its name has."""
SHOWN = 4


class Candidate(NamedTuple):
    """A text of the clone that may be what is wanted."""

    text: Text
    place: str


class Wanted(NamedTuple):
    """One prompt of ours, and how it is found."""

    key: str
    what: str
    """For a sentence about it."""
    phase: str = ""
    """The functions whose messages have it; empty: it is found by name only."""
    role: str = "system"
    names: tuple[str, ...] = ()
    """Constants that have it, the first that exists; `A.b.c` is an entry of a dictionary."""
    like: str = ""
    """A pattern of names, where none of those exists."""
    places: tuple[str, ...] = ()
    """What may be open in it."""
    required: bool = True


class Search:
    """The part of a clone that is an agent's own."""

    def __init__(self, clone: Clone, agent: str, others: Iterable[str]) -> None:
        """Files whose path has the agent's name come before those that have no agent's."""
        self.clone = clone
        foreign = [other for other in others if other != agent]
        own = [m for m in clone.files.values() if agent in m.path.lower()]
        free = [
            m
            for m in clone.files.values()
            if m not in own and not any(other in m.path.lower() for other in foreign)
        ]
        self.tiers = [tier for tier in (own, free) if tier]
        if not self.tiers:
            raise UsageError(f"--prompts: {clone.folder} holds nothing for the agent {agent}.")
        self.said = list(self._said())

    @property
    def modules(self) -> list[Module]:
        """The agent's own files; all that may be where none is."""
        return self.tiers[0]

    def _said(self) -> Iterator[tuple[str, Said]]:
        for tier in self.tiers:
            found = [
                (phase_of(name), said)
                for module in tier
                if "content" in module.text and "role" in module.text
                for name, function in module.functions.items()
                if phase_of(name)
                for said in said_in(function, module)
            ]
            if found:
                yield from found
                return

    def find(self, wanted: Wanted) -> FoundPrompt | None:
        """The prompt; None where there is none.

        Raises `UsageError` for two that differ, and for one that is computed.
        """
        named = list(self.named(wanted))
        self.require_one(wanted, named)
        used = list(self.used(wanted))
        try:
            self.require_one(wanted, used)
            templates = [self.template(wanted, one) for one in used]
        except UsageError:
            if not named:
                raise
            templates = []
        if templates:
            text, place = templates[0], used[0].place
            if named and self.from_name(wanted, named[0]) == text:
                place = named[0].place
            return FoundPrompt(text, place)
        if named:
            return FoundPrompt(self.from_name(wanted, named[0]), named[0].place)
        return None

    def template(self, wanted: Wanted, one: Candidate) -> str:
        """The text as ours, without the picture that every question begins with."""
        return as_template(one.text, one.place, wanted.places)

    def from_name(self, wanted: Wanted, one: Candidate) -> str:
        """A constant's text as ours: a user's words stand behind the question."""
        text = self.template(wanted, one)
        return text if wanted.role == "system" or "{question}" in text else f"{{question}}{text}"

    def require_one(self, wanted: Wanted, found: Sequence[Candidate]) -> None:
        """Raise `UsageError` where candidates differ, naming them."""
        texts: dict[Text, str] = {}
        for one in found:
            texts.setdefault(normal(one.text), one.place)
        if len(texts) > 1:
            places = list(texts.values())
            more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
            raise UsageError(
                f"--prompts: {self.clone.folder} has {len(texts)} different texts for "
                f"{wanted.what}: {', '.join(places[:SHOWN])}{more}. Leave one in the clone, or "
                "write the one that is meant into a TOML file."
            )

    def used(self, wanted: Wanted) -> Iterator[Candidate]:
        """What the functions of the phase put into such a message."""
        for phase, said in self.said:
            if phase == wanted.phase and said.role == wanted.role:
                text = said.text
                if text.parts[:1] == (PICTURE,):
                    text = Text(text.parts[1:])
                if PICTURE not in text.parts and not only_open(text):
                    yield Candidate(text, said.place)

    def named(self, wanted: Wanted) -> Iterator[Candidate]:
        """The constants of the first name that exists, and of names that are alike without."""
        for tier in self.tiers:
            for name in wanted.names:
                found = list(constants(tier, name))
                if found:
                    yield from found
                    return
        if wanted.like and not any(self.used(wanted)):
            like = re.compile(wanted.like, re.IGNORECASE)
            for tier in self.tiers:
                found = [
                    Candidate(value, f"{module.path}:{module.line(name)} {name}")
                    for module in tier
                    for name, value in every_name(module.names)
                    if isinstance(value, Text) and like.match(name) and not only_open(value)
                ]
                if found:
                    yield from found
                    return


def phase_of(function: str) -> str:
    """What a function of this name builds messages for; empty where it is not told."""
    return next((phase for phase, pattern in PHASES if pattern.search(function)), "")


def only_open(text: Text) -> bool:
    """Whether nothing of the text is known."""
    return not any(isinstance(part, str) and part.strip() for part in text.parts)


def normal(text: Text) -> Text:
    """The text with its places alike, for a comparison of words."""
    return Text(tuple(_normal(part) for part in text.parts))


def _normal(part: Part) -> Part:
    if isinstance(part, Items):
        return Items(normal(part.each), part.between)
    return Place("") if isinstance(part, Place) else part


def constants(modules: Iterable[Module], name: str) -> Iterator[Candidate]:
    """What each file has under this name; a function's is what it gives."""
    first, *inner = name.split(".")
    for module in modules:
        if first not in module.text:
            continue
        value = module.names.get(first)
        if value is None and first in module.functions and not inner:
            value = returned(module.functions[first], [], {}, module)[0]
        for part in inner:
            value = value.entries.get(part) if isinstance(value, Table) else None
        if isinstance(value, Text):
            line = module.line(first) or getattr(module.functions.get(first), "lineno", 0)
            yield Candidate(value, f"{module.path}:{line} {name}")


def every_name(names: Mapping[str, Value], within: str = "") -> Iterator[tuple[str, Value]]:
    """Every name, those in dictionaries and classes as `A.b`."""
    for name, value in names.items():
        yield within + name, value
        if isinstance(value, Table):
            yield from every_name(value.entries, f"{within}{name}.")


def tell(candidates: Iterable[Candidate]) -> str:
    """Where they are, for a sentence."""
    return one_line(", ".join(one.place for one in candidates), 300)
