from __future__ import annotations

import types
from collections.abc import Callable, Iterable

import pytest

from speceyes_cli.core.errors import PluginError, UsageError
from speceyes_cli.host import manager as manager_module
from speceyes_cli.host.hookspecs import hookimpl
from speceyes_cli.host.manager import (
    Host,
    build_host,
    build_manager,
    gather_host,
    known_names,
)
from speceyes_cli.host.offers import Source
from speceyes_cli.host.specs import GateSpec

WritePlugin = Callable[..., None]

GATE = """
from speceyes_cli.plugin import GateSpec, hookimpl

@hookimpl
def speceyes_gates():
    yield GateSpec("{name}", lambda scores: 1.0, "always sure")
"""


def test_built_ins_come_through_the_same_door(host: Host) -> None:
    assert {"speceyes", "baseline", "draft"} <= set(host.methods.specs)
    assert host.methods.sources["speceyes"].distribution.startswith("speceyes ")
    assert host.gates.sources["first"] == Source("example", "speceyes-example 1.0.0")


def test_an_installed_plugin_is_found(write_plugin: WritePlugin) -> None:
    write_plugin("sure-gate", "sure", GATE.format(name="sure"))
    assert build_host().gates.get("sure").summary == "always sure"


def test_two_plugins_with_one_name_are_named_both(write_plugin: WritePlugin) -> None:
    write_plugin("first-gates", "first-gates", GATE.format(name="clash"))
    write_plugin("other-gates", "other-gates", GATE.format(name="clash"))
    with pytest.raises(PluginError) as caught:
        build_host()
    told = str(caught.value)
    assert "'clash'" in told
    assert "first-gates 1.0" in told
    assert "other-gates 1.0" in told


def test_a_third_party_cannot_shadow_a_built_in(write_plugin: WritePlugin) -> None:
    write_plugin("rogue", "rogue", GATE.format(name="min"))
    with pytest.raises(PluginError, match=r"the gate 'min'.*speceyes \d.*rogue 1\.0"):
        build_host()


def test_two_entry_points_with_one_name_are_named_both(write_plugin: WritePlugin) -> None:
    write_plugin("first-gates", "same", GATE.format(name="a"))
    write_plugin("other-gates", "same", GATE.format(name="b"))
    with pytest.raises(PluginError, match=r"'same'.*first-gates 1\.0.*other-gates 1\.0"):
        build_host()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import a_module_that_is_not_there", "ModuleNotFoundError"),
        ("def broken(:", "SyntaxError"),
        ("raise RuntimeError('not today')", "RuntimeError: not today"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_named_and_set_aside(
    write_plugin: WritePlugin, source: str, reason: str
) -> None:
    write_plugin("bad-plugin", "bad", source)
    host = build_host()
    [broken] = host.broken
    assert str(broken).startswith("Plugin 'bad' of bad-plugin 1.0 could not be imported: ")
    assert reason in str(broken)
    with pytest.raises(UsageError, match="could not be imported"):
        host.agents.get("bad")


@pytest.mark.parametrize(
    ("kind", "name", "nearest"),
    [
        ("agents", "loker", "looker"),
        ("datasets", "dot", "dots"),
        ("gates", "bottom", "bottom20"),
        ("methods", "speceye", "speceyes"),
        ("judges", "rule", "rules"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(
    host: Host, kind: str, name: str, nearest: str
) -> None:
    catalog = getattr(host, kind)
    with pytest.raises(UsageError) as caught:
        catalog.get(name)
    told = str(caught.value)
    assert f"did you mean {nearest!r}?" in told
    assert all(known in told for known in catalog.specs)
    assert len(told.splitlines()) == 1


def test_a_name_like_no_other_is_answered_with_all() -> None:
    assert known_names("zzz", ["b", "a"]) == "known: a, b"
    assert known_names("zzz", []) == "known: none"


def test_a_manager_without_plugins_offers_nothing() -> None:
    host = gather_host(build_manager(), {})
    assert all(not catalog.specs for catalog in host.catalogs)


def test_a_plugin_registered_by_hand_is_its_own_source() -> None:
    plugin = types.ModuleType("by_hand")

    @hookimpl
    def speceyes_gates() -> Iterable[GateSpec]:
        yield GateSpec("mine", lambda _: 1.0, "mine")

    plugin.speceyes_gates = speceyes_gates  # type: ignore[attr-defined]
    manager = build_manager()
    manager.register(plugin, name="by hand")
    assert gather_host(manager, {}).gates.sources["mine"] == Source("by hand", "by hand")


def test_nothing_is_loaded_by_importing_the_manager() -> None:
    held = [v for v in vars(manager_module).values() if isinstance(v, Host)]
    assert not held
