"""The commands that the README and the pages show: they run, and print what the page says."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from speceyes_cli.app import build_app, load_command
from speceyes_cli.host.manager import Host

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?```(?:bash|sh|console)\n(?P<text>.*?)^```\n"
    r"(?:\n```\n(?P<output>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)
LIMIT = "2"
MORE = "40"
"""Samples of a split in place of the page's; the second in place of all, which the small model
alone answers quickly."""


class Block(NamedTuple):
    """A fenced block of commands."""

    page: str
    reason: str | None
    """Why it is not run."""
    text: str
    shown: str
    """What the page says that they print."""


def blocks() -> Iterator[Block]:
    for page in PAGES:
        for found in BLOCK.finditer(page.read_text(encoding="utf-8")):
            name = str(page.relative_to(ROOT))
            shown = found["output"] or found["text"]
            yield Block(name, found["reason"], found["text"], shown)


def commands(text: str) -> Iterator[list[str]]:
    """The words behind `speceyes` on each line that begins with it."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(re.split(r" [>|&] ", line.removeprefix("$ "))[0], comments=True)
        if words[:1] == ["speceyes"]:
            yield words[1:]


def headings(text: str) -> set[str]:
    """The column names of the tables in it."""
    rows = [line for line in text.splitlines() if line.startswith("┃")]
    return {cell.strip() for row in rows for cell in row.strip("┃").split("┃")} - {""}


BLOCKS = list(blocks())
RUN = [block for block in BLOCKS if block.reason is None]
PRINTED = [words for block in BLOCKS if "<<" not in block.text for words in commands(block.text)]


@pytest.mark.parametrize("words", PRINTED, ids=" ".join)
def test_every_command_line_can_be_read(host: Host, words: list[str]) -> None:
    command: Any = load_command(words[0])
    rest = words[1:]
    while hasattr(command, "commands"):
        command, rest = command.commands[rest[0]], rest[1:]
    assert command.make_context(command.name, rest, obj=host).params is not None


@pytest.mark.parametrize("page", list(dict.fromkeys(block.page for block in RUN)))
def test_the_commands_run_and_print_what_the_page_says(
    host: Host, page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("SPECEYES_LIMIT", LIMIT)
    for block in (block for block in RUN if block.page == page):
        printed = ""
        lines = list(commands(block.text))
        assert lines, block.text
        for words in lines:
            shorter = [
                (MORE if word == "0" else LIMIT) if before == "--limit" else word
                for before, word in zip(["", *words], words, strict=False)
            ]
            done = CliRunner().invoke(build_app(host), shorter, obj=host)
            assert done.exit_code == 0, (shorter, done.output)
            printed += done.stdout
        assert headings(block.shown) <= headings(printed), printed


def test_every_page_is_in_the_sites_navigation() -> None:
    site = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))

    def pages(entries: list[dict[str, Any]]) -> Iterator[str]:
        for entry in entries:
            for place in entry.values():
                yield from [place] if isinstance(place, str) else pages(place)

    there = {str(page.relative_to(ROOT / "docs")) for page in PAGES[1:]}
    assert set(pages(site["project"]["nav"])) == there


LINK = re.compile(r"\]\((?!https?:)(?P<place>[^)#\s]*)(?:#(?P<part>[^)\s]+))?\)")


def parts(page: Path) -> set[str]:
    """The names by which the headings of a page are linked to."""
    text = re.sub(
        r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    named = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in named}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for found in LINK.finditer(page.read_text(encoding="utf-8")):
        there = page.parent / found["place"] if found["place"] else page
        assert there.is_file(), found[0]
        assert found["part"] is None or found["part"] in parts(there), found[0]


def test_the_first_page_leads_to_every_other() -> None:
    docs = ROOT / "docs"
    links = LINK.finditer((docs / "index.md").read_text(encoding="utf-8"))
    linked = {docs / found["place"] for found in links}
    assert set(docs.rglob("*.md")) - linked == {docs / "index.md"}
