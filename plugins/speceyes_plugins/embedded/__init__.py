"""The tiny models that come along, by the names that `--small` and `--large` take."""

from __future__ import annotations

from importlib import resources

from speceyes_cli.plugin import Role

PAIR = "embedded"
"""The pair: the speculator as the small model, a Qwen3-VL agent as the large one."""
QWEN2_5 = "embedded-qwen2.5"
"""An agent of the family that DeepEyes and Thyme are of."""


def embedded_folder(name: str, role: Role) -> str | None:
    """The folder of a model that comes along; None for any other name."""
    folders = {PAIR: role, QWEN2_5: "qwen2.5"}
    if name not in folders:
        return None
    return str(resources.files(__name__).joinpath("weights", folders[name]))
