"""Where isolation cannot be had, nothing runs; and the message says what is missing."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from PIL import Image
from speceyes_plugins.sandbox import (
    Sandbox,
    SandboxLimits,
    SandboxRefusedError,
    folders,
    isolation_report,
)
from speceyes_plugins.sandbox.parent import filters, isolation
from speceyes_plugins.sandbox.parent.process import Zygote
from speceyes_plugins.sandbox.parent.report import attempt_all
from speceyes_plugins.sandbox.worker import lockdown

ALLOW_ALL = struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000)  # BPF: return SECCOMP_RET_ALLOW

# A machine without one system call, made by a filter: load the number, compare, answer an error.
WITHOUT = """
import struct, sys
from PIL import Image
from speceyes_plugins.sandbox import Sandbox, SandboxRefusedError
from speceyes_plugins.sandbox.worker import lockdown
from speceyes_plugins.sandbox.worker import syscalls
number = int(sys.argv[1])
answer = 0x50000 | int(sys.argv[2])
steps = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, answer), (0x06, 0, 0, 0x7FFF0000)]
lockdown._prctl(lockdown.PR_SET_NO_NEW_PRIVS, 1)
syscalls.install(b''.join(struct.pack('=HBBI', *step) for step in steps))
try:
    with Sandbox() as sandbox:
        print('STARTED')
except SandboxRefusedError as error:
    print('REFUSED', error)
"""

STARTED = """
from speceyes_plugins.sandbox import Sandbox, SandboxRefusedError
try:
    Sandbox().close()
    print('STARTED')
except SandboxRefusedError as error:
    print('REFUSED', error)
"""

KILLED = """
import sys, time
from PIL import Image
from speceyes_plugins.sandbox import Sandbox
sandbox = Sandbox()
session = sandbox.open(Image.new('RGB', (80, 80)))
print(sandbox._zygote.pid, session._worker._pid, sandbox._folder, flush=True)
session.run('while True: pass')
"""


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def soon(condition: object) -> bool:
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize(
    ("number", "missing"),
    [(444, "landlock"), (434, "pidfd"), (446, "landlock"), (424, "pidfd")],
    ids=["create_ruleset", "pidfd_open", "restrict_self", "pidfd_send_signal"],
)
def test_refuses_a_machine_without_a_layer(number: int, missing: str) -> None:
    with python(WITHOUT, str(number), str(errno.ENOSYS)) as process:
        told, _ = process.communicate(timeout=30)
    assert told.startswith("REFUSED")
    assert missing in told


@pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of x86-64 system calls")
@pytest.mark.parametrize(
    ("number", "name"),
    [
        (112, "setsid"),
        (80, "chdir"),
        (95, "umask"),
        (53, "socketpair"),
        (46, "sendmsg"),
        (56, "fork"),
        (33, "dup2"),
        (292, "dup2"),
        (83, "a temporary folder"),
        (302, "resource limits"),
        (126, "capabilities"),
        (110, "getppid"),
        (89, "looking for libraries"),
    ],
)
def test_a_call_that_the_system_forbids_is_named(number: int, name: str) -> None:
    with python(WITHOUT, str(number), str(errno.EPERM)) as process:
        told, _ = process.communicate(timeout=30)
    assert told.startswith("REFUSED")
    assert name in told


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="limits are set by prlimit")
def test_a_limit_on_processes_is_named() -> None:
    limited = ["prlimit", "--nproc=2", sys.executable, "-B", "-c", STARTED]
    if os.geteuid() == 0:  # the limit does not hold for root
        if shutil.which("setpriv") is None:
            pytest.skip("changing identity needs setpriv")
        kept = "-all,+dac_override,+dac_read_search"  # to read an interpreter in root's home
        identity = ["--reuid=65533", "--regid=65533", "--clear-groups"]
        limited = ["setpriv", *identity, f"--inh-caps={kept}", f"--ambient-caps={kept}", *limited]
    paths = os.pathsep.join(path for path in sys.path if path)
    environment = {"PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    environment["PATH"] = os.environ["PATH"]
    done = subprocess.run(limited, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("REFUSED the sandbox cannot start: fork: "), done.stderr[-500:]


def test_refuses_an_unknown_architecture() -> None:
    with pytest.raises(SandboxRefusedError, match=r"riscv64.*x86_64, aarch64"):
        filters.load("riscv64")


def test_refuses_a_damaged_filter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(filters.FILTERS, tmp_path / "filters")
    monkeypatch.setattr(filters, "FILTERS", tmp_path / "filters")
    Sandbox().close()
    for path in (tmp_path / "filters").iterdir():
        blob = bytearray(path.read_bytes())
        blob[-8] ^= 1
        path.write_bytes(blob)
    with pytest.raises(SandboxRefusedError, match="SHA-256"):
        Sandbox()
    shutil.rmtree(tmp_path / "filters")
    with pytest.raises(SandboxRefusedError, match="cannot be read"):
        Sandbox()


def test_refuses_when_the_self_test_finds_a_hole(tmp_path: Path) -> None:
    zygote = Zygote(tmp_path / "work", ALLOW_ALL, locked=True)
    try:
        with pytest.raises(SandboxRefusedError, match=r"self-test: .* was not stopped"):
            zygote.spawn(None, SandboxLimits())
    finally:
        zygote.close()


def test_refuses_a_filter_that_the_kernel_refuses(tmp_path: Path) -> None:
    zygote = Zygote(tmp_path / "work", b"\xff" * 16, locked=True)
    try:
        with pytest.raises(SandboxRefusedError, match="seccomp"):
            zygote.spawn(None, SandboxLimits())
    finally:
        zygote.close()


def test_refuses_to_lock_down_one_thread_of_two() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        with pytest.raises(OSError, match="threads instead of one"):
            lockdown._assert_single_thread()
    finally:
        done.set()
        thread.join()


def test_refuses_once_the_zygote_is_dead(picture: Image.Image) -> None:
    with Sandbox() as sandbox, sandbox.open(picture) as session:
        os.kill(sandbox._zygote.pid, signal.SIGKILL)
        time.sleep(0.1)
        with pytest.raises(SandboxRefusedError, match="zygote is gone"):
            session.run("print(1)")
        with pytest.raises(SandboxRefusedError, match="zygote is gone"):
            sandbox.open(picture)


def test_killing_the_program_takes_everything_down() -> None:
    with python(KILLED) as process:
        assert process.stdout is not None
        zygote, worker, folder = process.stdout.readline().split()
        process.kill()
    assert soon(lambda: not Path(f"/proc/{zygote}").exists())
    assert soon(lambda: not Path(f"/proc/{worker}").exists())
    assert soon(lambda: not Path(folder).exists())


def test_report_names_the_layers_and_proves_them() -> None:
    report = isolation_report()
    assert [layer.name for layer in report.layers] == [
        "linux",
        "pidfd",
        "landlock",
        "seccomp",
        "filter",
    ]
    assert all(layer.found for layer in report.layers)
    assert len(report.attempts) > 8
    assert all(attempt.stopped for attempt in report.attempts), report.problem
    assert report.usable
    assert report.problem is None


def test_report_says_why_it_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "FILTERS", tmp_path)
    report = isolation_report()
    assert not report.usable
    assert report.attempts == ()
    assert report.problem is not None
    assert "filter" in report.problem
    assert [layer.name for layer in isolation.found() if not layer.found] == ["filter"]


def test_the_attacks_of_the_report_work_without_isolation() -> None:
    with Sandbox(backend="unsafe-subprocess", limits=SandboxLimits(seconds=1.0)) as sandbox:
        attempts = attempt_all(sandbox)
    assert [attempt.name for attempt in attempts if attempt.stopped] == ["loop for ever"]


def test_filters_are_what_libseccomp_writes(tmp_path: Path) -> None:
    generator = filters.FILTERS.with_name("tools") / "generate_filters.py"
    python3 = "/usr/bin/python3"
    if not Path(python3).exists():
        pytest.skip("no system Python")
    made = subprocess.run(
        [python3, str(generator), str(tmp_path)], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        pytest.skip("libseccomp's Python binding is not installed")
    libraries = list(Path("/usr/lib").glob("*/libseccomp.so.2.*"))
    expected = filters.GENERATED_BY.split()[1]
    if not any(library.name.endswith(expected) for library in libraries):
        pytest.skip(f"another libseccomp than {expected} knows other calls")
    for path in filters.FILTERS.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_deep_and_closed_folders_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = tmp_path / "top"
    top.mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept", encoding="utf-8")
    monkeypatch.chdir(top)
    for depth in range(600):
        Path("folder-with-a-name").mkdir()
        os.chdir("folder-with-a-name")
        if depth % 200 == 0:
            Path("closed").mkdir(0)
            Path("link").symlink_to(outside)
    os.chdir(tmp_path)
    assert folders.usage(str(top), 4096).too_deep
    folders.remove_tree(str(top))
    assert not top.exists()
    assert (outside / "kept").exists()
    folders.remove_tree(str(top))
