"""The paper's figures meet the datasets as they are named here."""

from __future__ import annotations

from speceyes_cli.core.tables.paper import paper_tables
from speceyes_cli.core.tables.upstream.names import parse_name
from speceyes_cli.host.manager import Host

BEGINNINGS = {
    "vstar/direct_attributes": "vstar_direct_attributes",
    "vstar/relative_position": "vstar_relative_position",
    "hrbench/hrbench_4k": "hr_hr_bench_4k",
    "hrbench/hrbench_8k": "hr_hr_bench_8k",
    "pope/adversarial": "pope_adversarial",
    "pope/popular": "pope_popular",
    "pope/random": "pope_random",
}
"""How upstream's files of each of the paper's splits begin."""


def test_every_split_of_the_paper_is_one_of_a_dataset_here(host: Host) -> None:
    ours = {f"{spec.name}/{split}" for spec in host.datasets for split in spec.splits}
    tables = paper_tables()
    named = set(tables["splits"])
    for sweep in ("sweep", "top_k", "batch"):
        for agent in tables[sweep].values():
            named |= {
                f"{dataset}/{split}"
                for dataset, found in agent.items()
                for split in found
                if split not in ("threshold", "k", "batch")
            }
    assert named <= ours
    assert set(BEGINNINGS) == set(tables["splits"])


def test_upstreams_files_have_the_same_names() -> None:
    for split, beginning in BEGINNINGS.items():
        name = parse_name(f"{beginning}_DeepEyes-7B_baseline_1_None_None")
        assert name is not None
        assert f"{name.dataset}/{name.split}" == split
