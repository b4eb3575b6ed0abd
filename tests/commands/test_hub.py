"""Names that the hub would have to give, where it cannot be asked: one sentence after one try."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import huggingface_hub
import pytest
from PIL import Image
from speceyes_datasets.files import Origin, find_files
from speceyes_plugins.engines.vllm import models as vllm_models
from typer.testing import Result

from speceyes_cli.commands.doctor import find_dataset
from speceyes_cli.core.errors import DataError
from speceyes_cli.host.manager import Host
from speceyes_cli.host.planning.models import engine_options
from speceyes_cli.host.planning.options import RunOptions
from speceyes_cli.host.specs import DataSource

Invoke = Callable[..., Result]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
ORIGIN = Origin("Letters", "some/letters", COMMIT)


MOST_CALLS = 2
"""One, or two where a minute begins in between; the hub's own client makes six."""


class DeadHub:
    """An address that hangs up on whoever calls, and counts them."""

    def __init__(self) -> None:
        self.calls = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._hang_up, daemon=True)
        self._thread.start()

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                self.calls += 1
                caller.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[DeadHub]:
    dead = DeadHub()
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", dead.address)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    yield dead
    dead.close()


@pytest.mark.parametrize(
    "words",
    [
        ("eval", "--small", "some/model"),
        ("eval", "--large", "some/model"),
        ("eval", "--models", "paper"),
        ("eval", "--models", "paper", "--sweep", "gate=min,mean"),
        ("infer", "--models", "paper"),
        ("infer", "dot.png", "What is it?", "--models", "paper"),
        ("serve", "--models", "paper", "--port", "0"),
        ("prompts", "show", "--models", "paper"),
        ("prompts", "check", "--large", "some/model"),
        ("prompts", "show", "--dataset", "vstar", "--data", "hub"),
        ("eval", "--dataset", "vstar", "--data", "hub"),
        ("infer", "--dataset", "pope", "--data", "hub"),
    ],
    ids=" ".join,
)
def test_every_command_says_so_at_once(
    invoke: Invoke, hub: DeadHub, tmp_path: Path, words: tuple[str, ...]
) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "dot.png")
    done = invoke(*words)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    [sentence] = done.stderr.splitlines()
    assert "not in the hub's cache" in sentence
    assert f"and {hub.address} cannot be reached" in sentence
    assert 1 <= hub.calls <= MOST_CALLS


def test_a_check_of_data_and_the_doctor_name_the_hub(
    invoke: Invoke, host: Host, hub: DeadHub
) -> None:
    done = invoke("data", "check", "vstar", "--data", "hub")
    assert f"{hub.address} cannot be reached" in done.output
    for name in ("vstar", "hrbench", "pope", "zoombench", "mmerealworld"):
        found = find_dataset(host, name, "hub")
        assert found.state == "absent"
        assert f"{hub.address} cannot be reached" in found.detail
    assert 1 <= hub.calls <= MOST_CALLS


def test_no_try_is_made_where_the_user_forbids_it(
    invoke: Invoke, hub: DeadHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    for words in (("--small", "some/model"), ("--dataset", "vstar", "--data", "hub")):
        done = invoke("eval", *words)
        assert done.exit_code == 2, done.output
        assert "HF_HUB_OFFLINE is set" in done.stderr
    assert hub.calls == 0


def test_vllm_is_not_asked_for_what_cannot_be_had(
    host: Host, hub: DeadHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm_models, "vllm_version", lambda: (0, 33))
    spec = next(spec for spec in host.engines if spec.name == "vllm")
    own = {option.name: option.default for option in spec.options}
    options = engine_options("large", own, RunOptions(large="vllm:some/model"), host)
    with pytest.raises(DataError, match=r"^--large: some/model .* cannot be reached\.$"):
        spec.check(options)
    assert 1 <= hub.calls <= MOST_CALLS


def test_data_that_was_downloaded_before_is_read(hub: DeadHub, tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "datasets--some--letters" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "a.txt").write_text("a")
    [found] = find_files(ORIGIN, DataSource("hub"), "test", ["*.txt"])
    assert found.read_text() == "a"
    with pytest.raises(DataError, match=r"Letters is not in the hub's cache at main, and http"):
        find_files(ORIGIN, DataSource("hub@main"), "test", ["*.txt"])
    assert 1 <= hub.calls <= MOST_CALLS


@pytest.mark.usefixtures("hub")
def test_a_model_that_was_downloaded_before_is_not_asked_for(
    invoke: Invoke, tmp_path: Path
) -> None:
    repository = tmp_path / "hub" / "models--some--model"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text('{"model_type": "bert"}')
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    done = invoke("eval", "--small", "some/model")
    assert done.exit_code == 2, done.output
    assert "cannot be reached" not in done.stderr
