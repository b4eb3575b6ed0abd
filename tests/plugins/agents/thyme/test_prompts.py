from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from speceyes_plugins.agents.thyme.agent import Thyme

from speceyes_cli.core.chat import Picture
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.samples import Sample
from speceyes_cli.host.specs import AgentOptions

SAMPLE = Sample("a", "test", Picture("a", lambda: Image.new("RGB", (40, 30))), "What?")


def thyme(folder: Path, picture: str) -> Thyme:
    own = folder / "own.toml"
    own.write_text(f"picture = {picture}", encoding="utf-8")
    return Thyme(AgentOptions(prompts=own))


def test_own_words_about_the_picture_have_its_facts(tmp_path: Path) -> None:
    agent = thyme(tmp_path, "'{path}: {width} by {height}, {width}'")
    [_, asked] = agent.open(SAMPLE)
    assert "/mnt/data/input.jpg: 40 by 30, 40" in str(asked.content[1])


@pytest.mark.parametrize(
    "picture",
    [
        "'{'",
        "'}'",
        "'{}'",
        "'{0}'",
        "'{widht}'",
        "'{width:>99999999}'",
        "'{path.__class__}'",
        "'{{width}}'",
    ],
)
def test_braces_that_stand_for_nothing_are_told_when_the_file_is_read(
    tmp_path: Path, picture: str
) -> None:
    with pytest.raises(UsageError, match="stands for nothing; known are"):
        thyme(tmp_path, picture)


def test_what_is_no_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'picture' is no text"):
        thyme(tmp_path, "nan")


def test_braces_elsewhere_are_text(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text("instruction = 'write {\"a\": {}} {width}'")
    [_, asked] = Thyme(AgentOptions(prompts=own)).open(SAMPLE)
    assert 'write {"a": {}} {width}' in str(asked.content[1])
