"""`--parity paper`: all in which this program differs on purpose, as the paper's code has it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from speceyes_cli.core.agents import Policy
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.gate.defaults import ACCEPT
from speceyes_cli.core.pictures.pre_resized import pre_resized
from speceyes_cli.host.manager import Host
from speceyes_cli.host.planning.options import RunOptions
from speceyes_cli.host.planning.plugin_options import assignments
from speceyes_cli.host.specs import CONFIDENCE, MethodSpec

PAPER = "paper"
OWN_OPTION = "agent-option."
"""Before the name of a setting that is an agent's own option."""
SETTINGS: Mapping[str, Any] = {
    "option_order": "dataset",
    "batch_size": 6,
    "fallbacks": 1,
    "tie_policy": ACCEPT,
}
"""Options of the paper's scripts that are the same for every agent."""
OF_DATASETS = ("option_order",)
"""Settings that mean nothing for questions that come from outside."""
OF_MANY = (*OF_DATASETS, "batch_size", "fallbacks")
"""Settings that mean nothing for one question."""
OF_THE_GATE = ("threshold", "tie_policy")
"""Settings that mean nothing where no confidence decides between two models."""
OF_THE_AGENT = ("fallbacks", "max_turns", "max_new_tokens")
"""Settings that mean nothing where the small model is alone; an agent's own options are others."""
PICTURES = "pictures: resized to multiples of 28 pixels (bicubic) before the model's own processor"
SCREEN = 'screen: a reply that begins with "no", in any case, passes'
GATE = "gate: a draft that its token limit cut may stand; every draft is scored to its end"


class Followed(NamedTuple):
    """The options as the paper's code has them."""

    options: RunOptions
    told: tuple[str, ...]
    """The list of what was set, a line each, and of what the user named otherwise."""


def follow_paper(
    options: RunOptions,
    method: MethodSpec,
    passed: tuple[str, ...],
    host: Host,
    without: Collection[str] = (),
) -> Followed:
    """The options with everything set that `--parity` names; what the user named stays as it is.

    Left as they are, too, are settings `without` a meaning for the command, and those of models
    that the method does not ask.

    Raises `UsageError` for another word than "paper", and for an agent that the paper has not.
    """
    if options.parity is None:
        return Followed(options, ())
    if options.parity != PAPER:
        raise UsageError(f"--parity knows {PAPER!r} only, not {options.parity!r}.")
    spec = host.agents.get(options.agent)
    if not spec.published:
        known = ", ".join(other.name for other in host.agents if other.published)
        raise UsageError(f"--parity paper: the paper has no agent {spec.name}; it has {known}.")
    told = [f"--parity paper, for {spec.name}:"]
    for name, value in {**SETTINGS, **spec.published}.items():
        if name in without or not _is_used(name, method):
            continue
        if name.startswith(OWN_OPTION):
            options, line = _set_own(options, name.removeprefix(OWN_OPTION), value)
        else:
            options, line = _set(options, name, value, passed)
        told.append(f"  {line}")
    told.append(f"  {PICTURES}")
    told += [f"  {line}" for line in (SCREEN, GATE) if _decides(method)]
    if options.prompts is None:
        told.append("  prompts: our own words still; --prompts upstream:FOLDER reads the paper's")
    return Followed(options, tuple(told))


def _is_used(name: str, method: MethodSpec) -> bool:
    if name in OF_THE_GATE:
        return _decides(method)
    if name in OF_THE_AGENT or name.startswith(OWN_OPTION):
        return "large" in method.roles
    return True


def _decides(method: MethodSpec) -> bool:
    """Whether a gate's confidence decides between two models."""
    return method.bar is CONFIDENCE and len(method.roles) > 1


def _set(
    options: RunOptions, name: str, value: Any, passed: tuple[str, ...]
) -> tuple[RunOptions, str]:
    flag, named = f"--{name.replace('_', '-')}", getattr(options, name)
    if name in passed and named != value:
        return options, f"{flag} {named}, as named; the paper's is {value}"
    return replace(options, **{name: value}), f"{flag} {value}"


def _set_own(options: RunOptions, name: str, value: Any) -> tuple[RunOptions, str]:
    given = list(options.agent_option or ())
    named = assignments("--agent-option", given).get(name)
    if named is not None and named != str(value):
        return options, f"--agent-option {name}={named}, as named; the paper's is {value}"
    if named is None:
        given.append(f"{name}={value}")
    return replace(options, agent_option=given), f"--agent-option {name}={value}"


def resizing_first(policy: Callable[..., Policy]) -> Callable[..., Policy]:
    """The policy with every picture resized before a model sees it."""

    def resized(*arguments: Any) -> Policy:
        return pre_resized(policy(*arguments))

    return resized
