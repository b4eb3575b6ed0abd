"""The table of families in docs/models.md; run it to write the table anew from the library."""

from __future__ import annotations

from collections import defaultdict
from importlib.metadata import version
from pathlib import Path

from speceyes_plugins.engines.box_frames import frame_of_family
from speceyes_plugins.engines.transformers.families import Family, families

PAGE = Path(__file__).parents[4] / "docs" / "models.md"
BEGIN, END = "<!-- families: written by tests -->\n", "<!-- families end -->\n"
BOXES = {"pixels": "in pixels of the frame", "relative": "from 0 to 1000", None: "not known"}


def table() -> str:
    """Markdown of what runs, and of what does not and why."""
    found = families()
    lines = [
        f"Types of transformers {version('transformers')}:",
        "",
        "| type | class | boxes | tested or held |",
        "|---|---|---|---|",
        *(row(one) for one in found if one.tested),
        *(row(one) for one in found if one.hindrance is None and not one.tested),
        "",
    ]
    others: dict[str, list[str]] = defaultdict(list)
    for one in found:
        if one.hindrance is not None:
            reason = one.hindrance.removeprefix(f"{one.architecture} ")
            others[reason].append(f"`{one.model_type}`")
    for reason, names in sorted(others.items(), key=lambda item: -len(item[1])):
        lines += [f"- {len(names)} whose class {reason}: {', '.join(names)}."]
    return "\n".join(["", *lines, ""])


def row(one: Family) -> str:
    """A line of the table."""
    sure = "tested" if one.tested else "held"
    boxes = BOXES[frame_of_family(one.model_type)]
    return f"| `{one.model_type}` | `{one.architecture}` | {boxes} | {sure} |"


def write(page: str) -> str:
    """The page with the table of today in it."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(write(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
