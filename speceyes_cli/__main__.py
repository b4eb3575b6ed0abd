"""`speceyes`, and `python -m speceyes_cli`."""

import contextlib
import errno
import os
import sys

INTERRUPTED = 130
USER_ERROR = 2
OUTPUT_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE, errno.EBADF)
"""What a terminal, a pipe or a file answers that takes no more output."""


def main() -> None:
    """Run the program; an interrupt before it is loaded ends it without a word."""
    open_closed_streams()
    try:
        try:
            from speceyes_cli.app import main as run  # noqa: PLC0415 - takes a while

            run()
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except OSError as error:
        if error.errno not in OUTPUT_ERRORS:
            raise
        discard_output()
        with contextlib.suppress(OSError):
            sys.stderr.write(f"speceyes: the output cannot be written: {error.strerror}.\n")
        sys.exit(USER_ERROR)


def open_closed_streams() -> None:
    """Give the standard streams that are closed a place to go.

    Else the next file opened, such as a run's database, would be in theirs.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            mode = os.O_RDONLY if number == 0 else os.O_WRONLY
            os.open(os.devnull, mode)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))


def discard_output() -> None:
    """Let what could not be written go, so that nothing tries again when the process ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


if __name__ == "__main__":
    main()
