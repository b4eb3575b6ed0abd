from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from speceyes_plugins.engines.transformers.engine import TransformersEngine
from speceyes_plugins.engines.transformers.positions import positions_of

MERGE = 2


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 5), st.integers(1, 5)), max_size=4),
    st.integers(1, 9),
)
def test_positions_are_the_librarys(
    engine: TransformersEngine, parts: list[tuple[int, int, int]], end: int
) -> None:
    image = int(engine._loaded.model.config.image_token_id)
    ids: list[int] = []
    grids = []
    for text, rows, columns in parts:
        ids += [9] * text + [image] * (rows * columns)
        grids.append((1, rows * MERGE, columns * MERGE))
    ids += [9] * end
    found = positions_of(ids, grids, image, MERGE)
    wanted, _ = engine._loaded.model.model.get_rope_index(
        torch.tensor([ids]),
        mm_token_type_ids=(torch.tensor([ids]) == image).int(),
        image_grid_thw=torch.tensor(grids) if grids else None,
    )
    assert found.tolist() == wanted[:, 0].tolist()


def test_a_picture_without_a_place_is_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        positions_of([1, 2], [(1, 2, 2)], 5, MERGE)
