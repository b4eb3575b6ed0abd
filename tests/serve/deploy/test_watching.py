"""The dashboard and the alert rules: each metric and label in them is one that `/metrics` has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2 as httpx
import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.serve.conftest import CERTIFIED, Serve, ask, eventually, metric

DEPLOY = Path(__file__).parents[3] / "deploy"
MACROS = {"$__rate_interval": "5m", "$__range": "1h", "$job": "speceyes"}
SCRAPED = {"job", "instance"}
"""Labels that Prometheus adds to every series."""
OWN = "up"
"""A metric of Prometheus's own."""


class Used(NamedTuple):
    """What an expression speaks of."""

    metrics: set[str]
    labels: set[str]


def alerts() -> list[str]:
    groups = yaml.safe_load((DEPLOY / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def panels() -> list[str]:
    board = json.loads((DEPLOY / "grafana.json").read_text(encoding="utf-8"))
    return [one["expr"] for panel in board["panels"] for one in panel.get("targets", ())]


def used(expression: str) -> Used:
    """Raises `ValueError` for what is no PromQL."""
    for macro, value in MACROS.items():
        expression = expression.replace(macro, value)
    nodes = list(walk(promql_parser.parse(expression)))
    selectors = [node for node in nodes if isinstance(node, promql_parser.VectorSelector)]
    labels = {one.name for selector in selectors for one in selector.matchers.matchers}
    for node in nodes:
        named = re.fullmatch(r"\w+ \((.*)\)", str(getattr(node, "modifier", None) or ""))
        labels |= set(re.findall(r"\w+", named[1])) if named else set()
    return Used({selector.name for selector in selectors}, labels)


def walk(node: Any) -> Iterator[Any]:
    yield node
    for name in ("lhs", "rhs", "expr", "args", "vector_selector"):
        inner = getattr(node, name, None) or []
        for one in inner if isinstance(inner, list) else [inner]:
            yield from walk(one)


@pytest.fixture
def told(serve: Serve, certificate: Path) -> Used:
    """Every metric of an endpoint that has answered by each route, and every label."""
    served = serve(CERTIFIED, certificate=certificate, screen="none", audit=1.0)
    for number in (1, 2):
        httpx.post(f"{served.url}/v1/chat/completions", json=ask(f"dot {number}"), timeout=30)

    def text() -> str:
        return httpx.get(f"{served.url}/metrics", timeout=30).text

    assert eventually(lambda: metric(text(), 'speceyes_audits{found="harmless"}') == 1)
    families = list(text_string_to_metric_families(text()))
    names = {sample.name for family in families for sample in family.samples}
    labels = {label for family in families for sample in family.samples for label in sample.labels}
    return Used(names | {"speceyes_screened_total"}, labels | {"passed"})


def test_what_alerts_and_dashboard_name_is_there(told: Used) -> None:
    for expression in (*alerts(), *panels()):
        found = used(expression)
        assert found.metrics, expression
        assert found.metrics <= told.metrics | {OWN}, expression
        assert found.labels <= told.labels | SCRAPED, expression


def test_nothing_that_is_measured_is_left_out_of_the_dashboard(told: Used) -> None:
    shown = set[str]().union(*(used(expression).metrics for expression in panels()))
    kinds = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    own = {name for name in told.metrics if name.startswith("speceyes_")}
    measured = {re.sub(r"_(bucket|sum|count)$", "", name) for name in own}
    since_the_start = {"speceyes_alpha", "speceyes_beta"}  # rates say more
    created = {name for name in measured if name.endswith("_created")}
    assert measured - created - since_the_start == {name for name in kinds if "speceyes" in name}


def test_what_is_no_query_or_names_something_else_is_found() -> None:
    with pytest.raises(ValueError, match="unclosed"):
        used("sum(rate(speceyes_answers_total[5m])")
    found = used('sum by (rout) (rate(speceyes_answer_total{sign="1"}[5m])) unless on (job) up > 0')
    assert found == Used({"speceyes_answer_total", "up"}, {"rout", "sign", "job"})


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_takes_the_rules_and_their_own_tests_pass() -> None:
    for words in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run(
            ["promtool", *words], cwd=DEPLOY, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_a_test() -> None:
    groups = yaml.safe_load((DEPLOY / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    tests = yaml.safe_load((DEPLOY / "alerts_test.yml").read_text(encoding="utf-8"))["tests"]
    fired = {
        one["alertname"] for test in tests for one in test["alert_rule_test"] if one["exp_alerts"]
    }
    assert fired == {rule["alert"] for group in groups for rule in group["rules"]}
