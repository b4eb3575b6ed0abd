"""What every test may use: the example plugin, installed as an installer would."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from speceyes_cli.host.manager import Host, build_host

if "PYTEST_XDIST_WORKER" in os.environ:  # one of several processes: each computes on one core
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
if not torch.cuda.is_available():  # before anything imports triton, as transformers does
    os.environ["TRITON_INTERPRET"] = "1"

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in jobs begun with `&`

settings.register_profile(
    "speceyes",
    max_examples=50,
    deadline=None,  # machines are shared
    derandomize="CI" in os.environ,  # a change is judged by the examples that it was tried with
)
settings.load_profile("speceyes")

EXAMPLE = Path(__file__).parent / "example_plugin"


def install_plugin(source: Path, site: Path) -> None:
    """Put a pure-Python plugin and its metadata into a folder, without a package index."""
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    for package in source.glob("*/__init__.py"):
        shutil.copytree(package.parent, site / package.parent.name)
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    entries = [f"{name} = {target}" for name, target in project["entry-points"]["speceyes"].items()]
    info.joinpath("entry_points.txt").write_text("\n".join(["[speceyes]", *entries, ""]))


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the program keeps for its user is kept apart from the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def write_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str, str], None]:
    """write_plugin(distribution, entry, source): a distribution of one module, installed."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def write(distribution: str, entry: str, source: str) -> None:
        module = distribution.replace("-", "_")
        (site / f"{module}.py").write_text(source)
        info = site / f"{module}-1.0.dist-info"
        info.mkdir()
        info.joinpath("METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        )
        info.joinpath("entry_points.txt").write_text(f"[speceyes]\n{entry} = {module}\n")
        monkeypatch.delitem(sys.modules, module, raising=False)

    return write


@pytest.fixture(scope="session")
def example_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed packages that holds the example plugin; it is on the path."""
    site = tmp_path_factory.mktemp("site")
    install_plugin(EXAMPLE, site)
    sys.path.insert(0, str(site))
    return site


@pytest.fixture(scope="session")
def host(example_site: Path) -> Host:
    """Everything installed, the example plugin included."""
    assert example_site.is_dir()
    return build_host()


@pytest.fixture
def speceyes(example_site: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the real program in an empty folder; options that name the example come along."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "speceyes_cli", *arguments],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(example_site),
                "COLUMNS": "160",
                "OMP_NUM_THREADS": "1",
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run
