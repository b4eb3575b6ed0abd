"""The unit, the manifest, the container file and the balancer's configuration."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from speceyes_cli.app import load_command
from speceyes_cli.host.manager import Host
from speceyes_cli.serve.http.server import GRACE_SECONDS

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "speceyes@.service"
KUBERNETES = "1.34"
PATHS = {"/healthz", "/readyz"}


def options(host: Host, words: list[str]) -> dict[str, Any]:
    """The options of `serve` as the program reads the words after its name."""
    assert words[0] == "serve"
    command: Any = load_command("serve")
    parameters: dict[str, Any] = command.make_context("serve", words[1:], obj=host).params
    return parameters


def resources() -> dict[str, Any]:
    text = (DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")
    return {one["kind"]: one for one in yaml.safe_load_all(text)}


def container() -> Any:
    return resources()["Deployment"]["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize("kind", ["Deployment", "Service", "PodDisruptionBudget"])
def test_the_manifest_has_the_form_that_kubernetes_takes(kind: str) -> None:
    found = resources()[kind]
    kubernetes_validate.validate(found, KUBERNETES, strict=True)
    found["spec"]["selektor"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="selektor"):
        kubernetes_validate.validate(found, KUBERNETES, strict=True)


def test_the_pods_grace_leaves_time_for_a_whole_stop(host: Host) -> None:
    pod, one = resources()["Deployment"]["spec"]["template"]["spec"], container()
    asked = options(host, one["args"])
    word, seconds = one["lifecycle"]["preStop"]["exec"]["command"]
    assert word == "sleep"
    takes = float(seconds) + asked["drain_seconds"] + asked["stop_seconds"] + GRACE_SECONDS
    assert takes < pod["terminationGracePeriodSeconds"]
    readiness = one["readinessProbe"]
    assert readiness["failureThreshold"] * readiness["periodSeconds"] <= float(seconds)


def test_probes_ask_what_the_endpoint_answers(host: Host) -> None:
    one = container()
    [port] = one["ports"]
    assert port["containerPort"] == options(host, one["args"])["port"]
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = one[name]["httpGet"]
        assert asked["path"] in PATHS
        assert asked["port"] == port["name"]
    assert one["livenessProbe"]["httpGet"]["path"] == "/healthz"  # a full house is no reason to end
    assert resources()["Service"]["spec"]["ports"][0]["targetPort"] == port["name"]


def test_the_service_is_not_taken_for_an_option() -> None:
    """Kubernetes tells pods of the service `speceyes` in SPECEYES_PORT, which is --port here."""
    found = resources()
    named = f"{found['Service']['metadata']['name'].upper()}_PORT"
    assert named in {parameter.envvar for parameter in command_parameters()}
    assert found["Deployment"]["spec"]["template"]["spec"]["enableServiceLinks"] is False


def test_what_the_manifest_names_is_the_same_everywhere() -> None:
    found = resources()
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert found["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert found["Service"]["spec"]["selector"] == labels
    assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    variables = {one["name"] for one in container()["env"]}
    assert variables <= {parameter.envvar for parameter in command_parameters()}


def command_parameters() -> list[Any]:
    command: Any = load_command("serve")
    return list(command.params)


def service() -> configparser.SectionProxy:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(UNIT.read_text(encoding="utf-8"))
    return unit["Service"]


def test_the_units_stop_leaves_time_for_a_whole_stop(host: Host) -> None:
    start = shlex.split(service()["ExecStart"].replace("%i", "8001"))
    asked = options(host, start[1:])
    takes = asked["drain_seconds"] + asked["stop_seconds"] + GRACE_SECONDS
    assert takes < int(service()["TimeoutStopSec"])
    assert asked["port"] == 8001
    waiting = shlex.split(service()["ExecStartPost"])
    assert waiting[-1] == "http://127.0.0.1:%i/readyz"
    every = re.search(r"inter (\d+)s fall 1 ", (DEPLOY / "haproxy.cfg").read_text())
    assert every
    assert 2 * int(every[1]) < asked["drain_seconds"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    text = UNIT.read_text(encoding="utf-8")
    programs = {"/opt/speceyes/bin/speceyes": sys.executable, "/usr/bin/curl": sys.executable}
    for program, there in programs.items():
        text = text.replace(program, there)
    unit = tmp_path / "speceyes@8001.service"
    unit.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed")
def test_haproxy_takes_its_configuration() -> None:
    done = subprocess.run(
        ["haproxy", "-c", "-f", str(DEPLOY / "haproxy.cfg")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_container_copies_what_a_wheel_is_made_of(host: Host) -> None:
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    copied = {
        word
        for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE)
        for word in line.split()
    }
    assert all((ROOT / word).exists() for word in copied)
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    packages = re.search(r"wheel\]\npackages = \[(.*?)\]", project, re.DOTALL)
    assert packages
    tops = {name.split("/")[0] for name in re.findall(r'"(.*?)"', packages[1])}
    assert copied == tops | {"pyproject.toml", "README.md", "LICENSE"}
    words = re.search(r"^CMD \[(.*)\]$", text, re.MULTILINE)
    assert words
    assert options(host, re.findall(r'"(.*?)"', words[1]))["host"] == "0.0.0.0"  # noqa: S104
