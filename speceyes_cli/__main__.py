"""`speceyes`, and `python -m speceyes_cli`."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Run the program; an interrupt before it is loaded ends it without a word."""
    try:
        from speceyes_cli.app import main as run  # noqa: PLC0415 - takes a while

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
