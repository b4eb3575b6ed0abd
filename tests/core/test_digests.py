from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from speceyes_cli.core.chat import Picture
from speceyes_cli.core.digests import cached_digest, digest_bytes, digest_file, digest_rows
from speceyes_cli.core.samples import Sample

LONG_AGO = 1_600_000_000


def settle(path: Path) -> None:
    """Let the file's dates lie in the past, as those of most files do."""
    os.utime(path, (LONG_AGO, LONG_AGO))


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change shows in a file's dates at once."""
    monkeypatch.setattr("speceyes_cli.core.digests._SETTLED", -1)


@pytest.mark.usefixtures("settled")
def test_a_file_that_did_not_change_is_not_read_again(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"one")
    asked: list[int] = []

    def reckon() -> str:
        asked.append(1)
        return digest_bytes(file.read_bytes())

    first = cached_digest([file], "x", reckon)
    assert cached_digest([file], "x", reckon) == first == digest_file(file)
    assert len(asked) == 1
    cached_digest([file], "another thing", reckon)
    assert len(asked) == 2
    os.utime(file)
    assert cached_digest([file], "x", reckon) == first
    assert len(asked) == 3, "a touched file is read again, and is the same"


@pytest.mark.usefixtures("settled")
def test_a_file_of_another_content_has_another_digest_though_its_date_is_put_back(
    tmp_path: Path,
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"one")
    settle(file)
    first = digest_file(file)
    file.write_bytes(b"two")
    settle(file)
    assert digest_file(file) != first


def test_a_file_changed_a_moment_ago_is_never_taken_from_the_cache(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for number in range(50):
        file.write_bytes(b"%02d" % number)
        assert digest_file(file) == digest_bytes(b"%02d" % number)


def test_a_copy_has_the_same_digest(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    shutil.copy(tmp_path / "a", tmp_path / "b")
    assert digest_file(tmp_path / "a") == digest_file(tmp_path / "b")


def test_without_a_cache_that_can_be_used_digests_are_reckoned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"one")
    cache = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    (cache / "speceyes").mkdir(parents=True)
    (cache / "speceyes" / "digests.sqlite").write_bytes(b"no database" * 99)
    assert digest_file(file) == digest_bytes(b"one")
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    assert digest_file(file) == digest_bytes(b"one")


def test_rows_are_told_apart_by_all_that_they_say() -> None:
    def digest(*samples: Sample) -> str:
        return digest_rows([], "test", lambda: samples)

    def sample(name: str = "a", **changes: object) -> Sample:
        picture = Picture(name, lambda: Image.new("RGB", (1, 1)))
        fields = {"question": "?", "options": ("x", "y"), "answer": "x", "category": None}
        return Sample(name, "test", picture, **{**fields, **changes})  # type: ignore[arg-type]

    variants = [
        (sample(),),
        (sample("b"),),
        (sample(question="\ud800"),),
        (sample(options=("xy",)),),
        (sample(answer=None),),
        (sample(category="c"),),
        (sample(), sample("b")),
        (sample("b"), sample()),
    ]
    assert len({digest(*some) for some in variants}) == len(variants)
