"""What `--prompts` says: a TOML file, or a clone of another's repository that an agent can read."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from speceyes_cli.core.agents import Agent, Worded
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.methods.prompts import (
    METHOD_KEYS,
    MethodPrompts,
    method_prompts,
    texts_of,
)
from speceyes_cli.core.run.prompt_notes import OWN_WORDS, PromptNote, prompt_digest
from speceyes_cli.core.text import one_line
from speceyes_cli.host.manager import Host
from speceyes_cli.host.planning.options import RunOptions
from speceyes_cli.host.specs import AgentSpec, FoundPrompt


@dataclass(frozen=True, slots=True)
class Wording:
    """The texts that stand in the place of our own."""

    prompts: Mapping[str, FoundPrompt] = field(default_factory=dict)
    source: str = ""
    """As `--prompts` says it."""
    missing: tuple[str, ...] = ()
    """What the source does not have: there our own words are used."""

    @property
    def texts(self) -> dict[str, str]:
        """Every text by key."""
        return {key: found.text for key, found in self.prompts.items()}

    @property
    def for_agent(self) -> dict[str, str]:
        """The agent's own texts."""
        return {key: text for key, text in self.texts.items() if key not in METHOD_KEYS}

    @property
    def for_method(self) -> MethodPrompts:
        """The texts that no agent owns."""
        return method_prompts(self.texts)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know before the run: what was not found, and what is used there."""
        if not self.missing:
            return ()
        missing = "; ".join(self.missing)
        return (f"--prompts {self.source}: not found: {missing}. There our own words are used.",)


NO_WORDING = Wording()


def read_wording(options: RunOptions, host: Host) -> Wording:
    """What `--prompts` names; raises `UsageError` where it cannot be read."""
    if options.prompts is None:
        return NO_WORDING
    spec = host.agents.get(options.agent)
    name, colon, folder = options.prompts.partition(":")
    if colon and name in spec.prompt_sources:
        found = spec.prompt_sources[name](Path(folder).expanduser())
        prompts = {
            key: FoundPrompt(prompt.text, f"{options.prompts} {prompt.origin}")
            for key, prompt in found.prompts.items()
        }
        return Wording(prompts, options.prompts, found.missing)
    path = Path(options.prompts)
    if not path.is_file():
        raise UsageError(_no_file(options.prompts, spec, host))
    origin = f"the file {options.prompts}"
    prompts = {key: FoundPrompt(text, origin) for key, text in read_prompts_file(path).items()}
    return Wording(prompts, options.prompts)


def read_prompts_file(path: Path) -> dict[str, str]:
    """The texts of a TOML file by key; `UsageError` where it is no such file."""
    try:
        texts = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"--prompts {path}: {error}") from error
    strange = next((name for name, text in texts.items() if not isinstance(text, str)), None)
    if strange is not None:
        raise UsageError(f"--prompts {path}: {strange!r} is no text.")
    return texts


def _no_file(named: str, spec: AgentSpec, host: Host) -> str:
    own = [f"{name}:FOLDER" for name in spec.prompt_sources]
    name = named.partition(":")[0]
    others = [other.name for other in host.agents if name in other.prompt_sources]
    if others and ":" in named:
        return (
            f"--prompts {named}: the agent {spec.name} cannot read {name}; "
            f"{' and '.join(others)} can."
        )
    known = f"; clones are named as {', '.join(own)}" if own else ""
    return f"--prompts: there is no file {named}{known}."


def prompt_notes(agent: Agent, wording: Wording) -> dict[str, PromptNote]:
    """The digest and the origin of every text, by key."""
    own = dict(agent.prompts) if isinstance(agent, Worded) else {}
    texts = {**own, **texts_of(MethodPrompts())}
    notes = {
        key: PromptNote(digest=prompt_digest(text), origin=OWN_WORDS) for key, text in texts.items()
    }
    for key, found in wording.prompts.items():
        notes[key] = PromptNote(
            digest=prompt_digest(found.text), origin=one_line(found.origin, 300)
        )
    return notes
