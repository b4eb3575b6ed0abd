"""Clients and what each does with `speceyes serve`: `python tests/real_clients/client_matrix.py`
writes the table of docs/serve.md anew.

Every "yes" is a test of `test_clients.py`; what a client cannot do has its reason here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "serve.md"
BEGIN = "<!-- clients: written by tests/real_clients/client_matrix.py -->"
END = "<!-- clients: end -->"
COLUMNS = (
    "create",
    "stream",
    "history",
    "several pictures",
    "words alone",
    "cancel",
    "Responses",
)


@dataclass(frozen=True, slots=True)
class Client:
    """One client, in a version and an environment of its own."""

    name: str
    program: str
    """Its file in the folder `programs`; one in JavaScript has its packages from npm."""
    packages: tuple[str, ...]
    """What is installed, the client itself first, each with its version."""
    cannot: Mapping[str, str] = field(default_factory=dict)
    """The columns that it has nothing for, and why."""
    by_hand: bool = False
    """Its environment takes minutes to make: it is tested by hand."""

    @property
    def version(self) -> str:
        """The client's own."""
        return self.packages[0].replace("==", "@").rpartition("@")[2]

    @property
    def does(self) -> tuple[str, ...]:
        """The other columns."""
        return tuple(column for column in COLUMNS if column not in self.cannot)


CLIENTS = (
    Client("openai for Python", "openai_python.py", ("openai==3.57.0",)),
    Client("openai for JavaScript", "openai_npm.mjs", ("openai@7.59.0",)),
    Client(
        "AI SDK",
        "ai_sdk.mjs",
        ("ai@7.0.173", "@ai-sdk/openai-compatible@3.0.92", "@ai-sdk/open-responses@2.0.36"),
    ),
    Client("llm", "llm_program.py", ("llm==0.36",)),
    Client("inspect_ai", "inspect_program.py", ("inspect-ai==0.3.285", "openai==3.57.0")),
    Client(
        "LiteLLM's proxy",
        "litellm_proxy.py",
        ("litellm[proxy]==1.108.7",),
        {"cancel": "it leaves two seconds after its own client, and this answer takes less"},
        by_hand=True,
    ),
    Client(
        "evalscope perf",
        "evalscope_program.py",
        ("evalscope[perf]==1.14.1",),
        {"cancel": "it reads every answer to its end"},
        by_hand=True,
    ),
)


def table() -> str:
    """The part of the page that is written from here."""
    heads = ("client", "version", *COLUMNS)
    rows = [heads, ("---",) * len(heads), *map(row, CLIENTS)]
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    notes = [
        f"- {client.name}, {column}: {reason}."
        for client in CLIENTS
        for column, reason in client.cannot.items()
    ]
    if by_hand := " and ".join(client.name for client in CLIENTS if client.by_hand):
        notes.append(
            f"- By hand, since the environment takes minutes to make: {by_hand} "
            "(`pytest -m clients_by_hand tests/real_clients`)."
        )
    parts = [BEGIN, "", *lines, *(["", *notes] if notes else []), "", END]
    return "\n".join(parts)


def row(client: Client) -> tuple[str, ...]:
    """One client's line."""
    cells = ("-" if column in client.cannot else "yes" for column in COLUMNS)
    return (client.name, client.version, *cells)


def written() -> str:
    """That part as it stands on the page."""
    _, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    inside, end, _ = rest.partition(END)
    return begin + inside + end


def write() -> None:
    """Write it anew."""
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(page.replace(written(), table()), encoding="utf-8")


if __name__ == "__main__":
    write()
