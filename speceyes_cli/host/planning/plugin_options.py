"""From `--agent-option name=value` and its like to the values that a plugin declared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from speceyes_cli.core.chat import Role
from speceyes_cli.core.errors import UsageError
from speceyes_cli.host.manager import Catalog, Host, known_names
from speceyes_cli.host.plugin_options import (
    Decides,
    OptionValue,
    OptionValues,
    PluginOption,
    deciding,
)

AGENT, ENGINE = "--agent-option", "--engine-option"
METHOD, JUDGE = "--method-option", "--judge-option"
ROLES: tuple[Role, ...] = ("small", "large")


class Owner(NamedTuple):
    """A plugin's spec, as the one whose options are read."""

    kind: str
    """"agent", "engine", …"""
    name: str
    options: tuple[PluginOption, ...]

    def __str__(self) -> str:
        return f"the {self.kind} {self.name}"


def read_options(flag: str, given: Sequence[str] | None, owner: Owner) -> OptionValues:
    """Every option of the plugin, given or by default; `UsageError` for one that it lacks."""
    assigned = assignments(flag, given)
    for name in assigned:
        if name not in {option.name for option in owner.options}:
            raise UsageError(_unknown(flag, name, [owner]))
    return values_of(flag, assigned, owner)


def read_engine_options(
    given: Sequence[str] | None, owners: Mapping[Role, Owner]
) -> dict[Role, OptionValues]:
    """The same for each model's engine: `name=value` for every engine that has it, or one role's.

    `small.name=value` is for the small model's engine alone.
    """
    assigned: dict[Role, dict[str, str]] = {role: {} for role in owners}
    shared: dict[str, str] = {}
    for name, text in assignments(ENGINE, given).items():
        prefix, dot, rest = name.partition(".")
        role = next((role for role in ROLES if dot and role == prefix), None)
        if role is None:
            shared[name] = text
        elif role not in owners:
            raise UsageError(f"{ENGINE} {name}: this method has no {role} model.")
        else:
            assigned[role][rest] = text
    for name, text in shared.items():
        having = [r for r, owner in owners.items() if name in {o.name for o in owner.options}]
        if not having:
            raise UsageError(_unknown(ENGINE, name, dict.fromkeys(owners.values())))
        for role in having:
            assigned[role].setdefault(name, text)
    for role, owner in owners.items():
        for name in assigned[role]:
            if name not in {option.name for option in owner.options}:
                raise UsageError(_unknown(ENGINE, name, [owner]))
    return {role: values_of(ENGINE, assigned[role], owner) for role, owner in owners.items()}


def assignments(flag: str, given: Sequence[str] | None) -> dict[str, str]:
    """Texts by name; `UsageError` for what is no assignment or given twice."""
    found: dict[str, str] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise UsageError(f"{flag} {text}: write name=value.")
        if name in found:
            raise UsageError(f"{flag} {name} is given twice.")
        found[name] = value
    return found


def values_of(flag: str, assigned: Mapping[str, str], owner: Owner) -> OptionValues:
    """Each declared option's value; `UsageError` for one of another type or not to choose."""
    return OptionValues(
        tuple(
            (option.name, _read(flag, option, assigned[option.name], owner))
            if option.name in assigned
            else (option.name, option.default)
            for option in sorted(owner.options, key=lambda option: option.name)
        )
    )


def decided(
    owners: Mapping[str, Owner], values: Mapping[str, OptionValues], what: Decides
) -> dict[str, dict[str, OptionValue]]:
    """Of each plugin in use, the values that decide this; plugins without one are left out."""
    found = {part: deciding(owner.options, values[part], what) for part, owner in owners.items()}
    return {part: chosen for part, chosen in found.items() if chosen}


def declared(flag: str, host: Host) -> list[Owner]:
    """Every installed plugin that declares options under this flag."""
    catalogs: dict[str, Catalog[Any]] = {
        AGENT: host.agents,
        ENGINE: host.engines,
        METHOD: host.methods,
        JUDGE: host.judges,
    }
    catalog = catalogs[flag]
    return [Owner(catalog.kind, spec.name, spec.options) for spec in catalog if spec.options]


def _read(flag: str, option: PluginOption, text: str, owner: Owner) -> OptionValue:
    if option.choices and text not in option.choices:
        raise UsageError(
            f"{flag} {option.name}={text}: {owner} has no such value; "
            f"{known_names(text, option.choices)}."
        )
    try:
        return option.read(text)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{flag} {option.name}={text}: {owner} takes a {option.form} there."
        ) from None


def _unknown(flag: str, name: str, owners: Iterable[Owner]) -> str:
    owners = list(owners)
    whose = " and ".join(f"the {owner.kind} {owner.name}" for owner in owners)
    has = "has" if len(owners) == 1 else "have"
    known = [option.name for owner in owners for option in owner.options]
    if not known:
        return f"{flag} {name}: {whose} {has} no options."
    return f"{flag} {name}: {whose} {has} no such option; {known_names(name, set(known))}."
