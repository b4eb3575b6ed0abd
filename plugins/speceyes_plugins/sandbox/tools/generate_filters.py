"""Write the system-call filters with libseccomp. A developer-time tool, never imported.

Needs libseccomp's own Python binding (`apt install python3-seccomp`), which belongs to the
system's interpreter:

    /usr/bin/python3 plugins/speceyes_plugins/sandbox/tools/generate_filters.py

It writes one classic-BPF program per architecture to `filters/`, and prints the SHA-256 values that
`parent/filters.py` expects. A test regenerates them where libseccomp is installed, and compares.
"""

from __future__ import annotations

import errno
import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path

import seccomp  # type: ignore[import-not-found]  # the system's binding, untyped

ARCHITECTURES = ("x86_64", "aarch64")
Rule = tuple[str, list[object]]

# What a single-threaded interpreter with Pillow, numpy and OpenCV needs, and nothing else.
ALLOWED = """
    access brk chdir clock_getres clock_gettime clock_nanosleep close close_range dup dup2 dup3
    exit exit_group faccessat faccessat2 fadvise64 fallocate fchdir fdatasync flock fstat
    fstatfs fsync ftruncate futex getcpu getcwd getdents getdents64 getegid geteuid getgid
    getgroups getpgid getpgrp getpid getppid getpriority getrandom getresgid getresuid getrlimit
    getrusage getsid gettid gettimeofday getuid lseek lstat madvise membarrier mkdir mkdirat
    mmap mprotect mremap munmap nanosleep newfstatat pause pipe pipe2 poll ppoll pread64 preadv
    preadv2 pselect6 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv rename
    renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask
    rt_sigreturn rt_sigsuspend rt_sigtimedwait sched_get_priority_max sched_get_priority_min
    sched_getaffinity sched_getparam sched_getscheduler sched_yield select set_robust_list
    set_tid_address sigaltstack stat statfs statx sync_file_range sysinfo time times umask uname
    unlink unlinkat write writev
"""

# Refused with "Operation not permitted", so that a script sees a plain PermissionError. Whatever
# is in no list answers "Function not implemented", and libc falls back to an older call.
REFUSED = """
    accept accept4 acct add_key adjtimex arch_prctl bind bpf capset chown chroot clock_adjtime
    clock_settime clone connect delete_module execve execveat fanotify_init fchown fchownat
    finit_module fork fsconfig fsmount fsopen fspick get_mempolicy getpeername getsockname
    getsockopt init_module inotify_init inotify_init1 io_setup io_submit io_uring_enter
    io_uring_register io_uring_setup ioperm iopl kcmp kexec_file_load kexec_load keyctl kill
    landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown link linkat listen
    lookup_dcookie mbind memfd_create memfd_secret migrate_pages mknod mknodat mlock mlock2
    mlockall modify_ldt mount mount_setattr move_mount move_pages mq_open mq_timedreceive
    mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd name_to_handle_at nfsservctl
    open_by_handle_at open_tree perf_event_open personality pidfd_getfd pidfd_open
    pidfd_send_signal pivot_root pkey_alloc pkey_free pkey_mprotect prctl process_madvise
    process_mrelease process_vm_readv process_vm_writev ptrace quotactl quotactl_fd reboot
    recvfrom recvmmsg recvmsg request_key rt_sigqueueinfo rt_tgsigqueueinfo sched_setaffinity
    sched_setattr sched_setparam sched_setscheduler seccomp semctl semget semop semtimedop
    sendmmsg sendmsg sendto set_mempolicy setdomainname setfsgid setfsuid setgid setgroups
    sethostname setitimer setns setpgid setpriority setregid setresgid setresuid setreuid
    setrlimit setsid setsockopt settimeofday setuid shmat shmctl shmdt shmget shutdown signalfd
    signalfd4 socket socketpair splice swapoff swapon symlink symlinkat sync sync_file_range2
    syncfs syslog tee tgkill timer_create timer_settime timerfd_create timerfd_settime tkill
    truncate umount umount2 unshare uselib userfaultfd ustat vfork vhangup vmsplice wait4 waitid
"""

# They answer "done" and do nothing: Landlock does not cover them, and shutil.copy calls them.
PRETENDED = """
    chmod fchmod fchmodat fchmodat2 futimesat utime utimensat utimes
"""

# shutil.copystat treats "not supported" as nothing to copy.
UNSUPPORTED = """
    fgetxattr flistxattr fremovexattr fsetxattr getxattr lgetxattr listxattr llistxattr
    lremovexattr lsetxattr removexattr setxattr
"""

# Values of <fcntl.h> and <asm-generic/ioctls.h>; the same on both architectures.
O_WRONLY, O_RDWR, O_TRUNC = 0o1, 0o2, 0o1000
FCNTL_COMMANDS = (0, 1, 2, 3, 4, 1030)  # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, …_CLOEXEC
F_SETFL, O_ASYNC = 4, 0o20000
IOCTL_COMMANDS = (0x5401, 0x541B, 0x5450, 0x5451)  # TCGETS, FIONREAD, FIONCLEX, FIOCLEX
INT = 0xFFFFFFFF  # the kernel reads an int argument's low half only


def opens() -> list[Rule]:
    """`open` and `openat`: truncation only together with write access.

    A read-only open with O_TRUNC empties the file under Landlock ABI 1 and 2.
    """
    rules: list[Rule] = []
    for name, place in (("open", 1), ("openat", 2)):
        rules.append((name, [seccomp.Arg(place, seccomp.MASKED_EQ, O_TRUNC, 0)]))
        rules += [
            (name, [seccomp.Arg(place, seccomp.MASKED_EQ, O_TRUNC | 0o3, O_TRUNC | access)])
            for access in (O_WRONLY, O_RDWR)
        ]
    return rules


def conditional() -> list[Rule]:
    """Calls allowed for some arguments only."""
    equal = seccomp.MASKED_EQ
    rules = opens()
    for command in FCNTL_COMMANDS:
        arguments = [seccomp.Arg(1, equal, INT, command)]
        if command == F_SETFL:  # O_ASYNC would let the kernel send signals on the script's behalf
            arguments.append(seccomp.Arg(2, equal, O_ASYNC, 0))
        rules.append(("fcntl", arguments))
    rules += [("ioctl", [seccomp.Arg(1, equal, INT, command)]) for command in IOCTL_COMMANDS]
    own, nothing = seccomp.Arg(0, equal, INT, 0), seccomp.Arg(2, seccomp.EQ, 0)
    rules.append(("prlimit64", [own, nothing]))  # reading one's own limits
    return rules


def build(architecture: str) -> seccomp.SyscallFilter:
    """The filter of one architecture; any other, and x32, kills the process."""
    arch = seccomp.Arch(architecture)
    rules = seccomp.SyscallFilter(seccomp.ERRNO(errno.ENOSYS))
    if arch != seccomp.Arch():
        rules.remove_arch(seccomp.Arch())
        rules.add_arch(arch)
    rules.set_attr(seccomp.Attr.ACT_BADARCH, seccomp.KILL_PROCESS)
    add(rules, arch, seccomp.ALLOW, conditional() + always(ALLOWED))
    add(rules, arch, seccomp.ERRNO(errno.EPERM), always(REFUSED))
    add(rules, arch, seccomp.ERRNO(0), always(PRETENDED))
    add(rules, arch, seccomp.ERRNO(errno.ENOTSUP), always(UNSUPPORTED))
    return rules


def always(names: str) -> list[Rule]:
    """Rules that hold whatever the arguments are."""
    return [(name, []) for name in names.split()]


def add(
    rules: seccomp.SyscallFilter, arch: seccomp.Arch, action: object, calls: Iterable[Rule]
) -> None:
    """Add one action's rules, leaving out calls that the architecture does not have."""
    for name, arguments in calls:
        if known(arch, name):
            rules.add_rule(action, name, *arguments)


def known(arch: seccomp.Arch, name: str) -> bool:
    """Whether the architecture has this call, and libseccomp has heard of it."""
    try:
        return bool(seccomp.resolve_syscall(arch, name) >= 0)
    except ValueError:
        return False


def main(folder: Path) -> None:
    """Write every filter to the folder and print its hash."""
    folder.mkdir(parents=True, exist_ok=True)
    for architecture in ARCHITECTURES:
        path = folder / f"{architecture}.bpf"
        with path.open("wb") as file:
            build(architecture).export_bpf(file)
        blob = path.read_bytes()
        sys.stdout.write(f"{architecture} {len(blob) // 8} {hashlib.sha256(blob).hexdigest()}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "filters")
