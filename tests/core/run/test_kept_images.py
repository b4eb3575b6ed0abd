from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from speceyes_cli.core.run.kept_images import file_name, folder_name


@given(st.text())
def test_a_file_name_stays_in_its_folder(text: str) -> None:
    name = file_name(text)
    assert name not in ("", ".", "..")
    assert "/" not in name
    assert "\0" not in name
    assert len(name) <= 100


@given(st.lists(st.text("ab_./ %\u00e4", max_size=120), min_size=2, max_size=6, unique=True))
def test_no_two_trajectories_share_a_folder(keys: list[str]) -> None:
    names = [folder_name(key) for key in keys]
    assert len(set(names)) == len(keys)
    assert all(file_name(name) == name for name in names)
