"""Who may see the page, and what a browser is told to let it do."""

from __future__ import annotations

from pathlib import Path

import httpx2 as httpx
import pytest

from tests.analysis.conftest import Spec
from tests.view.conftest import View, WriteRun

NAME = "a-name-that-nobody-may-see"


@pytest.fixture
def base(view: View, write_run: WriteRun, tmp_path: Path) -> str:
    write_run(NAME, [Spec()])
    return view(tmp_path).server.address.partition("/?")[0]


@pytest.mark.parametrize(
    "path",
    ["/", "/?token=", "/?token=wrong", "/?token=é", "/assets/style.css", "/runs/x", "/..", "/v"],
)
def test_nothing_is_shown_without_the_token(base: str, path: str) -> None:
    answer = httpx.get(base + path)
    assert answer.status_code == 403
    assert "the address, token included" in answer.text
    assert NAME not in answer.text
    assert "set-cookie" not in answer.headers


def test_a_wrong_cookie_is_no_token(base: str) -> None:
    port = base.rpartition(":")[2]
    answer = httpx.get(base, headers={"cookie": f"speceyes-view-{port}=wrong"})
    assert answer.status_code == 403


def test_the_token_leaves_the_address_and_stays_as_a_cookie(view: View, tmp_path: Path) -> None:
    shown = view(tmp_path)
    answer = httpx.get(f"{shown.server.address}&sort=name")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/?sort=name"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "["])
def test_another_name_of_this_machine_is_refused(view: View, tmp_path: Path, host: str) -> None:
    shown = view(tmp_path)
    answer = shown.client.get("/", headers={"host": host})
    assert answer.status_code in (400, 421)


@pytest.mark.parametrize("name", ["localhost:1234", "127.0.0.1", "[::1]:80"])
def test_a_forwarded_port_works(view: View, tmp_path: Path, name: str) -> None:
    assert view(tmp_path).client.get("/", headers={"host": name}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/nowhere", "/assets/page.js", "/compare"])
def test_every_answer_has_the_strict_policy(view: View, tmp_path: Path, path: str) -> None:
    headers = view(tmp_path).get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(view: View, tmp_path: Path, method: str) -> None:
    assert view(tmp_path).client.request(method, "/").status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "/runs/../../etc/passwd",
        "/runs/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/assets/../app.py",
        "/assets/%2e%2e/app.py",
        "/assets//etc/passwd",
        "/runs/0123456789ab/samples/1",
    ],
)
def test_a_path_outside_is_nothing(view: View, tmp_path: Path, path: str) -> None:
    answer = view(tmp_path).get(path)
    assert answer.status_code == 404
    assert "root:" not in answer.text
    assert "import" not in answer.text


def test_the_way_in_leads_nowhere_else(view: View, tmp_path: Path) -> None:
    base, _, token = view(tmp_path).server.address.partition("/?")
    answer = httpx.get(f"{base}//evil.example/?{token}")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/evil.example/"
