from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from speceyes_cli.core.run.kept_images import file_name


@given(st.text())
def test_a_file_name_stays_in_its_folder(text: str) -> None:
    name = file_name(text)
    assert name not in ("", ".", "..")
    assert "/" not in name
    assert "\0" not in name
    assert len(name) <= 100
