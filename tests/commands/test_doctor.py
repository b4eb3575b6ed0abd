from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from typer.testing import CliRunner

from speceyes_cli.app import build_app
from speceyes_cli.commands.doctor import look
from speceyes_cli.host.manager import Host, build_host, build_manager, gather_host
from speceyes_cli.plugin import CheckSpec, Finding, hookimpl


def test_the_doctor_looks_everywhere_and_attacks_the_sandbox() -> None:
    host = build_host()
    done = CliRunner().invoke(build_app(host), ["doctor", "--json"], obj=host)
    rows = json.loads(done.stdout)
    states = {row["name"]: row["state"] for row in rows}
    assert states["torch"] == "ok"
    assert "GPU" in states or "GPU 0" in states
    attacks = [state for name, state in states.items() if name.startswith("attack: ")]
    assert len(attacks) >= 5
    assert (done.exit_code == 1) == ("failed" in states.values())


class Broken:
    """A plugin whose check raises."""

    @hookimpl
    def speceyes_checks(self) -> Iterator[CheckSpec]:
        def look_at() -> list[Finding]:
            raise OSError("no such device")

        yield CheckSpec("greeting", look_at, "a device that is not there")


def test_a_check_that_breaks_is_a_finding() -> None:
    manager = build_manager()
    manager.register(Broken(), name="mine")
    found = {finding.name: finding for _, finding in look(gather_host(manager, {}), None)}
    assert found["greeting"].state == "failed"
    assert "no such device" in found["greeting"].detail


def test_datasets_are_looked_for_where_one_says(host: Host, tmp_path: Path) -> None:
    found = [finding for check, finding in look(host, str(tmp_path)) if check == "datasets"]
    assert {finding.name for finding in found} >= {"dots"}
