"""Isolation as found on this machine, and proved by attacks that are really run."""

from __future__ import annotations

import os
import socket
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from PIL import Image

from speceyes_plugins.sandbox.parent import isolation
from speceyes_plugins.sandbox.parent.refusal import SandboxRefusedError
from speceyes_plugins.sandbox.parent.sandbox import Sandbox
from speceyes_plugins.sandbox.values import (
    Attempt,
    BlockResult,
    Report,
    SandboxLimits,
)

ESCAPED: Final = "ESCAPED"
SECONDS: Final = 2.0


class Attack(NamedTuple):
    """Code that prints ESCAPED where nothing stops it."""

    name: str
    code: str


# They see OUTSIDE (a folder with a file "secret"), PROGRAM (a process id) and PORT (a listener).
ATTACKS: Final = (
    Attack("read a file", "open(OUTSIDE + '/secret').read(); print('ESCAPED')"),
    Attack("read /proc", "open(f'/proc/{PROGRAM}/environ').read(); print('ESCAPED')"),
    Attack("write a file", "open(OUTSIDE + '/new', 'w').write('x'); print('ESCAPED')"),
    Attack("delete a file", "import os; os.unlink(OUTSIDE + '/secret'); print('ESCAPED')"),
    Attack(
        "connect to a port",
        "import socket; socket.create_connection(('127.0.0.1', PORT)); print('ESCAPED')",
    ),
    Attack("run a program", "import subprocess; subprocess.run(['/bin/true']); print('ESCAPED')"),
    Attack("fork", "import os; os.fork() or os._exit(0); print('ESCAPED')"),
    Attack("signal the program", "import os; os.kill(PROGRAM, 0); print('ESCAPED')"),
    Attack("take 3 GiB of memory", "import mmap; mmap.mmap(-1, 3 << 30); print('ESCAPED')"),
    Attack(
        "open 500 descriptors", "import os; x = [os.dup(0) for _ in range(500)]; print('ESCAPED')"
    ),
)


def isolation_report() -> Report:
    """Look at every layer, then start the sandbox and attack it. Takes about a second."""
    found = isolation.found()
    limits = replace(SandboxLimits(), seconds=SECONDS)
    try:
        with Sandbox(limits=limits) as sandbox:
            attempts = attempt_all(sandbox)
    except SandboxRefusedError as error:
        return Report(usable=False, layers=found, attempts=(), problem=str(error))
    escaped = [attempt.name for attempt in attempts if not attempt.stopped]
    problem = f"not stopped: {', '.join(escaped)}" if escaped else None
    return Report(usable=not escaped, layers=found, attempts=attempts, problem=problem)


def attempt_all(sandbox: Sandbox) -> tuple[Attempt, ...]:
    """Run every attack in a session of its own, against a file, a port and this process."""
    attempts = [_endless_loop(sandbox)]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for attack in ATTACKS:
            with tempfile.TemporaryDirectory(prefix="speceyes-outside-") as outside:
                Path(outside, "secret").write_text("secret", encoding="utf-8")
                facts = (outside, os.getpid(), listener.getsockname()[1])
                before = "OUTSIDE, PROGRAM, PORT = " + repr(facts)
                result = _run(sandbox, f"{before}\n{attack.code}")
            stopped = ESCAPED not in result.stdout
            attempts.append(Attempt(attack.name, stopped, _detail(result)))
    return tuple(attempts)


def _endless_loop(sandbox: Sandbox) -> Attempt:
    result = _run(
        sandbox, "while True:\n    try:\n        pass\n    except BaseException:\n        pass"
    )
    stopped = result.error is not None and result.error.kind == "timeout"
    return Attempt("loop for ever", stopped, _detail(result))


def _run(sandbox: Sandbox, code: str) -> BlockResult:
    with sandbox.open(Image.new("RGB", (64, 64))) as session:
        return session.run(code)


def _detail(result: BlockResult) -> str:
    return result.error.text.partition(" (line")[0] if result.error else "it worked"
