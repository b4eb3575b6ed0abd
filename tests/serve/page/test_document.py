"""The page as a file: who gets it, and what it may do."""

from __future__ import annotations

import base64
import hashlib
import re

import httpx2 as httpx

from tests.serve.conftest import Serve, ask


def test_there_is_no_page_unless_it_is_asked_for(serve: Serve) -> None:
    assert httpx.get(f"{serve().url}/").status_code == 404


def test_it_is_one_file_whose_own_style_and_script_alone_may_run(serve: Serve) -> None:
    answer = httpx.get(f"{serve(page=True).url}/")
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    for tag in ("style", "script"):
        [text] = re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    addresses = re.findall(r"(?:src|href|action)=[\"']([^\"']*)", answer.text)
    assert all(address.startswith(("data:image/svg+xml;base64,", "#")) for address in addresses)
    assert not re.search(r"\son[a-z]+=|\sstyle=|innerHTML", answer.text)


def test_it_holds_no_key_and_gives_none_away(serve: Serve) -> None:
    served = serve(page=True, serve_api_key="secret-1")
    answer = httpx.get(f"{served.url}/")
    assert answer.status_code == 200
    assert "secret-1" not in answer.text
    assert 'id="key"' in answer.text
    refused = httpx.post(f"{served.url}/v1/chat/completions", json=ask())
    assert refused.status_code == 401


def test_a_server_without_a_key_asks_for_none(serve: Serve) -> None:
    assert 'id="key"' not in httpx.get(f"{serve(page=True).url}/").text


def test_the_models_name_is_text(serve: Serve) -> None:
    served = serve(page=True, served_name='<b>"x')
    page = httpx.get(f"{served.url}/").text
    assert "<b>" not in page
    assert 'data-model="&lt;b&gt;&#34;x"' in page
