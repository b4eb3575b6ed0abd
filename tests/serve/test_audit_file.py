"""What audits find outlives the server: `serve --audit-file`, and several of them joined."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx2 as httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speceyes_cli.analysis.certificate import read_certificate
from speceyes_cli.analysis.watching.harm_test import HarmTest, Watched, joined_evidence
from speceyes_cli.core.errors import DataError, UsageError
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.serve.audit_file import AuditFile
from speceyes_cli.serve.promise import Promise
from tests.serve.conftest import Serve, ask, eventually, metric
from tests.serve.test_promise import MODEL, make_question

GATE = Gate("min", lambda _: 1.0, 64, 0.9)
WATCHED = Watched(0.05, 0.2, 1.0)


@given(
    share=st.floats(0.01, 1),
    parts=st.lists(st.lists(st.booleans(), max_size=20), min_size=1, max_size=4),
)
def test_parts_of_a_stream_join_to_the_whole_and_go_on(
    share: float, parts: list[list[bool]]
) -> None:
    watched = Watched(0.05, 0.1, share)
    whole = HarmTest(watched)
    tests = []
    for part in parts:
        test = HarmTest(watched)
        for found in part:
            test.add(int(found))
            whole.add(int(found))
        tests.append(
            HarmTest.resumed(watched, test.samples, test.found, test.highest, test.alarm_after)
        )
        assert tests[-1].evidence == pytest.approx(test.evidence)
        assert tests[-1].alarmed is test.alarmed
    assert joined_evidence(tests) == pytest.approx(whole.evidence)


def make_promise(file: AuditFile, *, steps: bool = False) -> Promise:
    return Promise(GATE, {("min", 64): 0.9}, WATCHED, steps=steps, file=file)


def open_file(path: Path, certificate: Path, share: float = 1.0) -> AuditFile:
    return AuditFile(path, read_certificate(certificate), share, 0.9)


def audit(promise: Promise, answer: str, times: int = 1) -> None:
    for number in range(times):
        promise.note(make_question(f"{answer}{number}"), "yes")
        promise.end(promise.begin().key, answer)


@pytest.mark.parametrize("steps", [False, True])
def test_a_test_goes_on_where_it_stood(tmp_path: Path, certificate: Path, steps: bool) -> None:
    path = tmp_path / "audits.json"
    file = open_file(path, certificate)
    before = make_promise(file, steps=steps)
    audit(before, "yes", 3)
    audit(before, "no", 2)
    before.note(make_question("cut short"), "yes")
    before.begin()
    before.note(make_question("behind it"), None)
    file.release()
    after = make_promise(open_file(path, certificate), steps=steps)
    assert after.evidence == pytest.approx(before.evidence)
    assert after.findings == before.findings == {"harmless": 3, "harmful": 2, "missing": 0}
    assert after.alarms == before.alarms == 1
    assert after.threshold == before.threshold
    assert (after.threshold > GATE.threshold) is steps
    audit(after, "no", 2)
    assert after.alarms == (2 if steps else 1)  # an alarm is given once


def test_an_alarm_of_before_is_followed_when_steps_are_asked_for(
    tmp_path: Path, certificate: Path
) -> None:
    path = tmp_path / "audits.json"
    file = open_file(path, certificate)
    audit(make_promise(file), "no", 3)
    file.release()
    again = make_promise(open_file(path, certificate), steps=True)
    assert again.threshold == pytest.approx(0.95)
    assert again.evidence == 1


def test_a_file_of_another_server_certificate_or_share(tmp_path: Path, certificate: Path) -> None:
    path = tmp_path / "audits.json"
    file = open_file(path, certificate)
    audit(make_promise(file), "yes")
    with pytest.raises(DataError, match="in use by another server"):
        open_file(path, certificate)
    file.release()
    with pytest.raises(DataError, match=r"a share of 1, not 0\.5"):
        open_file(path, certificate, share=0.5)
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({**kept, "certificate": "other"}))
    with pytest.raises(DataError, match="another certificate"):
        open_file(path, certificate)
    for broken in ("{}", "[1]", json.dumps({**kept, "found": 7}), "\x00"):
        path.write_text(broken)
        with pytest.raises(DataError, match="no file of `serve --audit-file`"):
            open_file(path, certificate)


def test_a_write_that_fails_stops_no_answer(
    tmp_path: Path, certificate: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = open_file(tmp_path / "folder" / "a.json", certificate)
    promise = make_promise(file)
    audit(promise, "yes")
    file.release()
    audit(promise, "yes", 2)
    assert promise.findings["harmless"] == 3
    assert caplog.text.count("what the audits find is not kept") == 1


def test_a_file_without_audits_is_refused(serve: Serve, certificate: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name their share with --audit"):
        serve(MODEL, certificate=certificate, screen="none", audit_file=tmp_path / "a.json")


@pytest.mark.slow
def test_a_killed_server_goes_on(example_site: Path, certificate: Path, tmp_path: Path) -> None:
    path = tmp_path / "audits.json"
    words = [
        *(sys.executable, "-m", "speceyes_cli", "serve", "--agent", "looker", "--port", "0"),
        *("--small", MODEL, "--large", MODEL, "--screen", "none"),
        *("--certificate", str(certificate), "--audit", "1", "--audit-file", str(path)),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(example_site), *sys.path[1:]])}

    def run(asked: int) -> tuple[float, float]:
        """Evidence and audits at the start."""
        with subprocess.Popen(
            words, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr
            try:
                line = next(line for line in process.stderr if "http://" in line)
                found = re.search(r"http://127\.0\.0\.1:\d+", line)
                assert found

                def figure(name: str) -> float:
                    return metric(httpx.get(f"{found.group()}/metrics", timeout=30).text, name)

                audits = 'speceyes_audits{found="harmless"}'
                start = figure("speceyes_promise_evidence"), figure(audits)
                for _ in range(asked):
                    url = f"{found.group()}/v1/chat/completions"
                    assert httpx.post(url, json=ask("dot 1"), timeout=30).status_code == 200
                assert eventually(lambda: figure(audits) == start[1] + asked)
                second = (
                    subprocess.run(
                        words, cwd=tmp_path, env=environment, capture_output=True, check=False
                    )
                    if asked
                    else None
                )
                if second is not None:
                    assert second.returncode == 2
                    assert b"in use by another server" in second.stderr
                return start
            finally:
                process.send_signal(signal.SIGKILL)

    assert run(3) == (1.0, 0.0)
    evidence, audits = run(0)
    assert audits == 3
    assert evidence == pytest.approx(0.75, abs=0.25)
    assert evidence != 1
