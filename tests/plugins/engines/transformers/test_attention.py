from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from speceyes_plugins.engines.transformers import loading
from speceyes_plugins.engines.transformers.attention import attend_by_length
from speceyes_plugins.engines.transformers.pictures import PictureEncoder
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from speceyes_cli.core.chat import Role
from speceyes_cli.host.specs import EngineOptions
from tests.plugins.asking import picture

SIZES = ((300, 210), (90, 70), (300, 210), (64, 300))


@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=8), seed=st.integers(0, 9))
def test_every_piece_attends_to_itself_alone(lengths: list[int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    parts = torch.randn(3, 1, 2, sum(lengths), 4, generator=generator)
    begins = torch.tensor([0, *lengths]).cumsum(0)
    found, _ = attend_by_length(nn.Identity(), *parts, scaling=0.3, cu_seq_lens_q=begins)
    alone = [
        scaled_dot_product_attention(*parts[:, :, :, begin : begin + length], scale=0.3)
        for begin, length in zip(begins.tolist(), lengths, strict=False)
    ]
    wanted = torch.cat(alone, dim=2).transpose(1, 2)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("role", ["small", "large"])
def test_towers_see_pictures_of_several_sizes_as_with_plain_attention(
    untrained: dict[Role, Path], role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [(str(i), picture(i, size)) for i, size in enumerate(SIZES)]

    def seen() -> list[torch.Tensor]:
        loaded = loading.load(EngineOptions(str(untrained[role]), role, max_pixels=200_000))
        encoder = PictureEncoder(loaded.model, loaded.processor.image_processor)
        with torch.inference_mode():
            found = encoder.encode(keys)
        return [found[key].features for key in keys]

    calls: list[int] = []
    real = attend_by_length
    monkeypatch.setattr(
        "speceyes_plugins.engines.transformers.attention.attend_by_length",
        lambda *args, **named: calls.append(1) or real(*args, **named),
    )
    ours = seen()
    assert calls, "the tower attends in another way"
    monkeypatch.setattr(loading, "use_by_length", lambda _model: None)
    for features, wanted in zip(ours, seen(), strict=True):
        torch.testing.assert_close(features, wanted, rtol=1e-4, atol=1e-5)
