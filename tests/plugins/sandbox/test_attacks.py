"""Every attack succeeds with isolation off, so that its test can fail, and is stopped with it on.

An attack prints ESCAPED, or leaves the file MARKER behind, where nothing stops it. Bombs are
bounded. Attacks whose success does harm only outside a worker run bare, in a plain interpreter.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest
from PIL import Image
from speceyes_plugins.sandbox import BlockResult, Sandbox, SandboxLimits

if TYPE_CHECKING:
    from conftest import World


class Attack(NamedTuple):
    name: str
    code: str
    root_only: bool = False
    """Nothing an ordinary user could do in the first place."""
    x86_only: bool = False
    optional: bool = False
    """Some kernels do not offer what it uses, with isolation off either."""


SYSCALL = """
import ctypes, platform
libc = ctypes.CDLL(None, use_errno=True)
def call(x86, arm, *arguments):
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return libc.syscall(x86 if platform.machine() == "x86_64" else arm, *words)
"""

ATTACKS = [
    # Reading
    Attack("read_file", "print(open(SECRET).read()); print('ESCAPED')"),
    Attack("read_relative", "open('../' * 20 + SECRET).read(); print('ESCAPED')"),
    Attack("read_passwd", "open('/etc/passwd').read(); print('ESCAPED')"),
    Attack("read_by_numpy", "import numpy; numpy.fromfile(SECRET, 'u1'); print('ESCAPED')"),
    Attack(
        "read_by_system_call",
        SYSCALL + "if call(257, 56, -100, SECRET.encode(), 0) >= 0: print('ESCAPED')",
    ),
    Attack("list_root", "import os; os.listdir('/'); print('ESCAPED')"),
    Attack(
        "list_other_sessions",
        "import os; os.listdir(os.path.dirname(image_path) + '/..'); print('ESCAPED')",
    ),
    Attack("program_environment", "open(f'/proc/{PROGRAM}/environ').read(); print('ESCAPED')"),
    Attack("program_descriptors", "import os; os.listdir(f'/proc/{PROGRAM}/fd'); print('ESCAPED')"),
    Attack(
        "program_memory",
        "open(f'/proc/{PROGRAM}/mem', 'rb').close(); print('ESCAPED')",
        optional=True,
    ),
    Attack("program_links", "import os; os.readlink(f'/proc/{PROGRAM}/cwd'); print('ESCAPED')"),
    Attack("own_maps", "open('/proc/self/maps').read(); print('ESCAPED')"),
    Attack("own_memory", "open('/proc/self/mem', 'r+b').close(); print('ESCAPED')"),
    Attack("proc_root", "open(f'/proc/self/root{SECRET}').read(); print('ESCAPED')"),
    Attack("proc_cwd", "open(f'/proc/{PROGRAM}/cwd/secret').read(); print('ESCAPED')"),
    Attack("symlink", "import os; os.symlink(SECRET, 'a.png'); open('a.png'); print('ESCAPED')"),
    Attack("hard_link", "import os; os.link(SECRET, 'a.png'); open('a.png'); print('ESCAPED')"),
    Attack("returned_symlink", "import os; os.symlink(SECRET, 'b.png'); print('b.png ESCAPED')"),
    Attack("sysfs", "import os; os.listdir('/sys/class'); print('ESCAPED')"),
    Attack("device", "open('/dev/zero', 'rb').read(1); print('ESCAPED')"),
    # Writing and deleting
    Attack("write_file", "open(MARKER, 'w').write('x'); print('ESCAPED')"),
    Attack("overwrite", "open(VICTIM, 'w').write('x'); print('ESCAPED')"),
    Attack("append", "open(VICTIM, 'a').write('x'); print('ESCAPED')"),
    Attack(
        "truncate_by_read_only_open",
        "import os; os.open(VICTIM, os.O_RDONLY | os.O_TRUNC); print('ESCAPED')",
    ),
    Attack("truncate_by_path", "import os; os.truncate(VICTIM, 0); print('ESCAPED')"),
    Attack("delete", "import os; os.unlink(VICTIM); print('ESCAPED')"),
    Attack("rename_in", "import os; os.rename(VICTIM, temp_output_dir + '/x'); print('ESCAPED')"),
    Attack(
        "rename_out",
        "import os; open('x', 'w').close(); os.rename('x', MARKER); print('ESCAPED')",
    ),
    Attack("make_folder", "import os; os.mkdir(MARKER); print('ESCAPED')"),
    Attack(
        "chmod",
        "import os; os.chmod(VICTIM, 0o123)\n"
        "if os.stat(VICTIM).st_mode & 0o777 == 0o123: print('ESCAPED')",
    ),
    Attack(
        "utime",
        "import os; os.utime(VICTIM, (1, 1))\nif os.stat(VICTIM).st_mtime == 1: print('ESCAPED')",
    ),
    Attack("chown", "import os; os.chown(VICTIM, 12345, -1); print('ESCAPED')", root_only=True),
    Attack(
        "xattr", "import os; os.setxattr(VICTIM, 'user.x', b'x'); print('ESCAPED')", optional=True
    ),
    Attack("fifo", "import os; os.mkfifo('pipe.png'); print('ESCAPED')"),
    Attack(
        "device_node", "import os; os.mknod('n', 0o20600, 259); print('ESCAPED')", root_only=True
    ),
    Attack(
        "shared_memory_file",
        "import os; p = '/dev/shm/speceyes-attack'\n"
        "open(p, 'w').close(); os.unlink(p); print('ESCAPED')",
    ),
    Attack("overwrite_picture", "open(image_path, 'wb').close(); print('ESCAPED')", root_only=True),
    # Sockets
    Attack(
        "tcp_connect",
        "import socket; socket.create_connection(('127.0.0.1', TCP)); print('ESCAPED')",
    ),
    Attack("tcp_listen", "import socket; socket.create_server(('127.0.0.1', 0)); print('ESCAPED')"),
    Attack(
        "udp",
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.sendto(b'secret', ('127.0.0.1', UDP)); print('ESCAPED')",
    ),
    Attack(
        "unix_path",
        "import os, socket; os.chdir(FOLDER)\n"
        "s = socket.socket(socket.AF_UNIX); s.connect(UNIX); print('ESCAPED')",
    ),
    Attack(
        "unix_abstract",
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect(ABSTRACT); print('ESCAPED')",
    ),
    Attack(
        "netlink",
        "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW); print('ESCAPED')",
    ),
    Attack(
        "every_family",
        "import socket\n"
        "for family in range(1, 46):\n"
        "    for kind in (1, 2, 3, 5):\n"
        "        try:\n"
        "            socket.socket(family, kind); print('ESCAPED', family)\n"
        "        except OSError: pass",
    ),
    Attack("socketpair", "import socket; socket.socketpair(); print('ESCAPED')"),
    # Processes, threads, signals
    Attack(
        "subprocess",
        "import subprocess; subprocess.run(['/bin/true'], check=True); print('ESCAPED')",
    ),
    Attack("shell", "import os\nif os.system('exit 7') >> 8 == 7: print('ESCAPED')"),
    Attack(
        "exec",
        "import os; os.set_inheritable(3, True)\n"
        "os.execv('/bin/sh', ['sh', '-c', 'touch ' + MARKER])",
    ),
    Attack("posix_spawn", "import os; os.posix_spawn('/bin/true', ['true'], {}); print('ESCAPED')"),
    Attack("fork", "import os; os.fork() or os._exit(0); print('ESCAPED')"),
    Attack(
        "fork_bomb",
        "import os, time\nfor i in range(15):\n"
        "    if os.fork() == 0: time.sleep(0.2); os._exit(0)\n"
        "print('ESCAPED')",
    ),
    Attack("thread", "import threading; threading.Thread(target=print).start(); print('ESCAPED')"),
    Attack(
        "process_left_behind",
        "import os\nif os.fork() == 0: os.setsid(); os._exit(0)\nprint('ESCAPED')",
    ),
    Attack("signal_program", "import os; os.kill(PROGRAM, 0); print('ESCAPED')"),
    Attack("signal_zygote", "import os; os.kill(os.getppid(), 0); print('ESCAPED')"),
    Attack("signal_all", "import os, signal; os.killpg(os.getppid(), 0); print('ESCAPED')"),
    Attack("pidfd", "import os; os.pidfd_open(PROGRAM); print('ESCAPED')"),
    Attack(
        "ptrace",
        SYSCALL + "import os; pid = os.getpid()\n"
        "if call(101, 117, 0, 0, 0, 0) == 0: print('ESCAPED')",
    ),
    Attack(
        "read_program_memory_by_system_call",
        SYSCALL
        + "b = ctypes.create_string_buffer(8); v = (ctypes.c_size_t * 2)(ctypes.addressof(b), 8)\n"
        "n = call(310, 270, PROGRAM, v, 1, v, 1, 0)\n"
        "if n > 0 or ctypes.get_errno() == 14: print('ESCAPED')",  # 14: no memory at that address
        optional=True,
    ),
    Attack("limits_of_program", "import resource; resource.prlimit(PROGRAM, 7); print('ESCAPED')"),
    Attack(
        "signals_by_fcntl",
        "import fcntl; fcntl.fcntl(0, fcntl.F_SETOWN, PROGRAM); print('ESCAPED')",
    ),
    # System calls
    Attack("memfd", "import os; os.memfd_create('x'); print('ESCAPED')"),
    Attack("shared_memory", SYSCALL + "if call(29, 194, 0, 4096, 0o1600) >= 0: print('ESCAPED')"),
    Attack(
        "keyring", SYSCALL + "if call(250, 219, 0, -3, 1) >= 0: print('ESCAPED')", optional=True
    ),
    Attack(
        "io_uring",
        SYSCALL + "p = bytes(120)\nif call(425, 425, 1, p) >= 0: print('ESCAPED')",
        optional=True,
    ),
    Attack("userfaultfd", SYSCALL + "if call(323, 282, 1) >= 0: print('ESCAPED')", optional=True),
    Attack("unshare", SYSCALL + "if call(272, 97, 0x400) == 0: print('ESCAPED')"),
    Attack("mount", SYSCALL + "if call(272, 97, 0x20000) == 0: print('ESCAPED')", root_only=True),
    Attack(
        "terminal_input",
        "import fcntl; fcntl.ioctl(0, 0x5421, bytes(4)); print('ESCAPED')",
        optional=True,
    ),
    Attack(
        "foreign_architecture",
        "import ctypes, mmap; m = mmap.mmap(-1, 4096, prot=7)\n"
        "m.write(bytes.fromhex('53b814000000cd805bc3'))  # getpid as a 32-bit call\n"
        "f = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))\n"
        "if f() > 0: print('ESCAPED')",
        x86_only=True,
        optional=True,
    ),
    # Resources
    Attack("memory", "import mmap; mmap.mmap(-1, 3 << 30); print('ESCAPED')"),
    Attack("large_file", "open('x', 'wb').truncate(80 << 20); print('ESCAPED')"),
    Attack(
        "many_large_files",
        "import time\nfor i in range(4): open(f'{i}', 'wb').write(bytes(4 << 20))\n"
        "time.sleep(0.3); print('ESCAPED')",
    ),
    Attack(
        "many_files",
        "import time\nfor i in range(600): open(f'{i}', 'w').close()\n"
        "time.sleep(0.3); print('ESCAPED')",
    ),
    Attack(
        "deep_folders",
        "import os\nfor i in range(300): os.mkdir('d'); os.chdir('d')\nprint('ESCAPED')",
    ),
    Attack("descriptors", "import os; x = [os.dup(0) for _ in range(500)]; print('ESCAPED')"),
    Attack(
        "raise_limits",
        "import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); print('ESCAPED')",
    ),
    # The interpreter
    Attack(
        "poisoned_pickle",
        "import numpy, os\nclass P:\n"
        "    def __reduce__(self): return os.system, ('touch ' + MARKER,)\n"
        "numpy.save('p.npy', numpy.array([P()], dtype=object), allow_pickle=True)\n"
        "numpy.load('p.npy', allow_pickle=True)",
    ),
    Attack(
        "subclasses",
        "for c in ().__class__.__base__.__subclasses__():\n"
        "    if c.__name__ == '_wrap_close': c.__init__.__globals__['open'](MARKER, 0o101)",
    ),
    Attack(
        "frames",
        "import sys; f = sys._getframe()\n"
        "while f.f_back: f = f.f_back\n"
        "f.f_builtins['open'](SECRET).read(); print('ESCAPED')",
    ),
    Attack(
        "builtins",
        "import builtins, importlib; importlib.reload(builtins)\n"
        "__builtins__['open'](SECRET).read() if isinstance(__builtins__, dict) else "
        "__builtins__.open(SECRET).read(); print('ESCAPED')",
    ),
    Attack(
        "import_hook",
        "import sys; from importlib.machinery import FileFinder, SourceFileLoader\n"
        "sys.meta_path.insert(0, type('F', (), {'find_spec': staticmethod(lambda n, p, t=None: "
        "FileFinder(FOLDER, (SourceFileLoader, ['.py'])).find_spec(n))}))\n"
        "import secret; print('ESCAPED', secret.VALUE)",
    ),
]


def run(sandbox: Sandbox, world: World, code: str) -> BlockResult:
    with sandbox.open(Image.new("RGB", (80, 80))) as session:
        return session.run(world.facts + code)


def escaped(world: World, result: BlockResult) -> bool:
    return "ESCAPED" in result.stdout or (world.folder / "marker").exists()


def possible(attack: Attack) -> None:
    if attack.root_only and os.geteuid() != 0:
        pytest.skip("an ordinary user cannot do this anyway")
    if attack.x86_only and platform.machine() != "x86_64":
        pytest.skip("x86-64 only")


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_succeeds_with_isolation_off(attack: Attack, unsafe: Sandbox, world: World) -> None:
    possible(attack)
    result = run(unsafe, world, attack.code)
    if attack.optional and not escaped(world, result):
        pytest.skip(f"not offered by this kernel: {result.error}")
    assert escaped(world, result), result.error


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_is_stopped_with_isolation_on(attack: Attack, sandbox: Sandbox, world: World) -> None:
    possible(attack)
    result = run(sandbox, world, attack.code)
    assert not escaped(world, result)
    assert world.untouched()
    if result.error is not None:
        assert result.error.kind in {"exception", "memory", "disk_quota", "crashed", "no_output"}


LOOP_LIMITS = SandboxLimits(seconds=0.5)

# Attacks on time and output. Bare, they never end, or say more than anybody asked for.

LOOPS = {
    "plain": "while True: pass",
    "catching": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "deaf": "import signal\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\nwhile 1: pass",
    "sleeping": "import time; time.sleep(1000)",
    "in_c": "sum(iter(int, 1))",
}


@pytest.mark.parametrize("code", LOOPS.values(), ids=LOOPS)
def test_loop_never_ends_bare_and_is_killed_in_the_sandbox(code: str, world: World) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run([sys.executable, "-c", code], timeout=0.4, check=False)
    with Sandbox(limits=LOOP_LIMITS) as sandbox:
        result = run(sandbox, world, code)
    assert result.error is not None
    assert result.error.kind == "timeout"


FLOODS = {
    "print": "print('x' * 5_000_000)",
    "many_prints": "for i in range(100_000): print('ESCAPED' * 10)",
    "descriptor": "import os\nfor _ in range(5): os.write(1, b'x' * 60_000)",
    "bytes": "import sys; sys.stdout.buffer.write(b'\\xff' * 5_000_000)",
    "original": "import sys; sys.__stdout__.write('x' * 5_000_000)",
}


@pytest.mark.parametrize("code", FLOODS.values(), ids=FLOODS)
def test_flood_is_cut(code: str, sandbox: Sandbox, world: World) -> None:
    bare = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert len(bare.stdout) > 100_000
    assert len(run(sandbox, world, code).stdout) < 70_000


def test_environment_and_descriptors_do_not_come_along(sandbox: Sandbox, world: World) -> None:
    code = (
        "import os\nif 'KEY' in os.environ: print('ESCAPED environment')\n"
        "for n in range(4, 64):\n    try:\n        os.fstat(n); print('ESCAPED', n)\n"
        "    except OSError: pass"
    )
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    try:
        bare = subprocess.run(
            [sys.executable, "-c", code],
            env={"KEY": "secret"},
            pass_fds=[reading],
            capture_output=True,
            text=True,
            check=True,
        )
        assert bare.stdout.count("ESCAPED") >= 2
        assert not escaped(world, run(sandbox, world, code))
    finally:
        os.close(reading)
        os.close(writing)
