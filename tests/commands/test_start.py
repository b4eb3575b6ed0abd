"""How the program starts: quickly, and without what only a run needs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from speceyes_cli.__main__ import main
from speceyes_cli.app import COMMANDS, build_app, load_command
from speceyes_cli.commands.options import takes
from speceyes_cli.commands.run_notes import toy_note
from speceyes_cli.host.manager import Host
from speceyes_cli.host.planning.models import Load
from speceyes_cli.host.planning.options import RunOptions
from speceyes_cli.host.specs import EngineOptions

Program = Callable[..., subprocess.CompletedProcess[str]]
HEAVY = (
    "torch",
    "triton",
    "transformers",
    "datasets",
    "scipy",
    "matplotlib",
    "torchvision",
    "openai",
)
START = """
import sys
from speceyes_cli.app import main
sys.argv = ["speceyes", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert end.code in (0, None), end.code
print("HEAVY:", *(name for name in {heavy!r} if name in sys.modules))
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["eval", "--help"],
        ["serve", "--help"],
        ["gather", "--help"],
        ["plugins"],
        ["--version"],
    ],
)
def test_nothing_heavy_is_imported(
    arguments: list[str], example_site: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", START.format(heavy=HEAVY), *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(example_site)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "HEAVY:"


def test_the_program_runs_as_a_module_and_as_a_script(speceyes: Program) -> None:
    assert "eval" in speceyes("--help").stdout
    script = Path(sys.executable).with_name("speceyes")
    done = subprocess.run([script, "--help"], capture_output=True, text=True, check=False)
    assert "eval" in done.stdout


def test_help_imports_no_command(example_site: Path, tmp_path: Path) -> None:
    commands = ("speceyes_cli.commands.", "rich.", "speceyes_cli.serve", "speceyes_cli.analysis")
    code = START.replace("for name in {heavy!r} if name in sys.modules", "{names}").format(
        names=f"for name in sys.modules if name.startswith({commands!r})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(example_site)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.splitlines()[-1] == "HEAVY:", done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_help_is_there(name: str) -> None:
    command = load_command(name)
    assert command.name == name
    assert command.help


def test_help_teaches(speceyes: Program) -> None:
    shown = speceyes("--help").stdout
    for word in ("speceyes eval", "--method baseline", "speceyes gather", "SPECEYES_THRESHOLD"):
        assert word in shown
    shown = speceyes("eval", "--help").stdout
    for option in ("--agent", "--threshold", "--small", "--resume", "--fresh", "SPECEYES_TOP_K"):
        assert option in shown


def test_without_a_command_it_helps(host: Host) -> None:
    assert "eval" in CliRunner().invoke(build_app(host), [], obj=host).output


def test_a_user_error_is_a_sentence_and_exit_2(speceyes: Program) -> None:
    done = speceyes("eval", "--agent", "nobody")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("speceyes: There is no agent 'nobody'; ")
    assert len(done.stderr.splitlines()) == 1


def test_a_broken_plugin_is_named_and_the_rest_works(
    example_site: Path, tmp_path: Path, speceyes: Program
) -> None:
    info = tmp_path / "bad_one-2.0.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: bad-one\nVersion: 2.0\n")
    info.joinpath("entry_points.txt").write_text("[speceyes]\nbad = nowhere_at_all\n")
    done = speceyes("plugins", PYTHONPATH=f"{example_site}{os.pathsep}{tmp_path}")
    assert done.returncode == 0
    assert "Plugin 'bad' of bad-one 2.0 could not be imported: ModuleNotFoundError" in done.stderr
    assert "broken" in done.stdout
    assert "looker" in done.stdout


def test_control_characters_in_an_error_do_not_reach_the_terminal(speceyes: Program) -> None:
    done = speceyes("eval", "--agent", "a\x1b[2Jb")
    assert "\x1b" not in done.stderr


def test_every_option_has_help_a_panel_and_an_environment_variable() -> None:
    @takes(RunOptions)
    def command(context: typer.Context, options: RunOptions) -> None:
        assert context
        assert options

    for parameter in command.__signature__.parameters.values():  # type: ignore[attr-defined]
        if parameter.name != "context":
            [declaration] = parameter.annotation.__metadata__
            assert declaration.help.endswith("."), parameter.name
            assert declaration.rich_help_panel
            assert declaration.envvar == f"SPECEYES_{parameter.name.upper()}"


def test_an_interrupt_while_the_program_loads_ends_it_without_a_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("speceyes_cli.app.main", interrupted)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 130


@pytest.mark.parametrize(
    ("models", "dataset", "told"),
    [
        ("embedded", "needle", False),
        ("embedded", "vstar", True),
        ("embedded-qwen2.5", "vstar", True),
        ("a/b", "vstar", False),
    ],
)
def test_the_toy_models_are_not_believed_on_other_data(
    models: str, dataset: str, told: bool
) -> None:
    load = Load(None, EngineOptions(models, "small"))  # type: ignore[arg-type]
    assert (toy_note([load], dataset) is not None) == told
