from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speceyes_cli.core.tables.upstream.names import parse_name

MODEL = st.from_regex(r"[A-Za-z][A-Za-z0-9.-]{0,20}", fullmatch=True).filter(
    lambda name: name != "baseline"
)


@given(
    st.sampled_from(["vstar_relative_position", "hr_hr_bench_8k", "pope_adversarial"]),
    MODEL,
    MODEL,
    st.integers(1, 64),
    st.sampled_from(["min", "mean", "bottom20", "log"]),
    st.sampled_from([0.9, 0.98, 0.995]),
    st.sampled_from(["", "_K=32", "_PhaseIMs", "_K=96_PhaseIMs"]),
)
def test_a_name_says_what_it_was_made_of(
    start: str, large: str, small: str, batch: int, mode: str, threshold: float, end: str
) -> None:
    name = parse_name(f"{start}_{large}_{small}_{batch}_{mode}_{threshold}{end}")
    assert name is not None
    assert (name.large, name.small, name.batch) == (large, small, batch)
    assert (name.mode, name.threshold, name.method) == (mode, threshold, "speceyes")
    k = 32 if "=32" in end else 96 if "=96" in end else 64
    assert name.top_k == (None if mode == "log" else k)


@pytest.mark.parametrize("stem", ["records", "verdicts", "vstar_OCR_x", "vstar_direct_attributes"])
def test_other_files_are_not_upstreams(stem: str) -> None:
    assert parse_name(stem) is None


def test_a_baseline_and_specreason() -> None:
    baseline = parse_name("hr_hr_bench_4k_Thyme-RL_baseline_1_None_None")
    assert baseline is not None
    assert (baseline.method, baseline.small, baseline.threshold) == ("baseline", None, None)
    assert (baseline.dataset, baseline.split) == ("hrbench", "hrbench_4k")
    reason = parse_name("pope_popular_Thyme-RL_Qwen3-VL-2B-Instruct_7.0")
    assert reason is not None
    assert (reason.method, reason.threshold) == ("specreason", 7.0)
