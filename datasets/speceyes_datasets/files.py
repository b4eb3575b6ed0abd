"""Where a benchmark's files are: a folder, a file, or a pinned revision on the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

from speceyes_cli.plugin import DataError, DataSource, Sample, digest_rows, first_line, why_no_hub

HUB = "hub"
DATASET_ORDER = "dataset"
"""Options in the order of the files."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a benchmark is called and where it is published."""

    title: str
    hub_id: str
    revision: str
    """The commit that `--data hub` reads; `--data hub@REVISION` reads another."""

    def __str__(self) -> str:
        return f"get it from https://huggingface.co/datasets/{self.hub_id}, or say --data hub"


def is_hub(source: DataSource) -> bool:
    """Whether the user asked for a download."""
    return source.path is not None and source.path.partition("@")[0] == HUB


def locate(origin: Origin, source: DataSource, patterns: Sequence[str]) -> Path:
    """The folder or file that the source names; for the hub, after downloading what matches.

    `patterns` are globs below the root. Raises `DataError` when there is nothing, saying where it
    was looked for and where to get it.
    """
    if source.path is None:
        raise DataError(
            f"{origin.title} needs its files: name their folder with --data FOLDER "
            f"(or SPECEYES_DATA); {origin}."
        )
    if is_hub(source):
        return _download(origin, source.path.partition("@")[2] or origin.revision, patterns)
    path = Path(source.path).expanduser()
    if not path.exists():
        raise DataError(f"{origin.title} was looked for in {path}, which does not exist; {origin}.")
    return path


def find_files(
    origin: Origin, source: DataSource, split: str, patterns: Sequence[str]
) -> tuple[Path, ...]:
    """The files of a split, by name: those of the first pattern that matches any.

    A source that is itself a file is taken when its name fits a pattern.
    """
    root = locate(origin, source, patterns)
    if root.is_file():
        if any(fnmatch(root.name, pattern.rpartition("/")[2]) for pattern in patterns):
            return (root,)
    else:
        for pattern in patterns:
            if found := sorted(path for path in root.glob(pattern) if path.is_file()):
                return tuple(found)
    names = ", ".join(patterns)
    raise DataError(
        f"{origin.title} has no split {split!r} in {root}: looked for {names}; {origin}."
    )


def fingerprint_of(
    find: Callable[[str, DataSource], Sequence[Path]],
    open_split: Callable[[str, DataSource], Iterable[Sample]],
) -> Callable[[str, DataSource], str]:
    """What gives a digest of a split's rows, read again only when one of its files changed.

    It is the same for a copy, for the hub's files, and for any order of the options.
    """

    def fingerprint(split: str, source: DataSource) -> str:
        unshuffled = replace(source, option_order=DATASET_ORDER)
        return digest_rows(find(split, source), split, lambda: open_split(split, unshuffled))

    return fingerprint


def _download(origin: Origin, revision: str, patterns: Sequence[str]) -> Path:
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - heavy, and rarely needed
    from huggingface_hub.errors import LocalEntryNotFoundError  # noqa: PLC0415 - as above

    hindrance = why_no_hub()  # the client would try again for most of a minute
    try:
        folder = snapshot_download(
            origin.hub_id,
            repo_type="dataset",
            revision=revision,
            allow_patterns=list(patterns),
            local_files_only=bool(hindrance),
        )
    except LocalEntryNotFoundError as error:
        raise DataError(
            f"{origin.title} is not in the hub's cache at {revision}, and "
            f"{hindrance or 'the hub does not give it'}; name a folder of its files with "
            "--data FOLDER."
        ) from error
    except Exception as error:  # the library's errors have no common base
        raise DataError(
            f"{origin.title} cannot be downloaded from {origin.hub_id} at {revision}: "
            f"{first_line(error)}."
        ) from error
    return Path(folder)
