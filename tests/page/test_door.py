"""The document itself, and who gets it and the data behind it."""

import base64
import hashlib
import re
import subprocess
from pathlib import Path

import httpx
import pytest

from energyd.api import page
from energyd.api.app import application

from ..engine.stage import Stage  # noqa: TID252 - the same stage

TOKEN = "open-sesame"


def asking(stage: Stage, token: str | None = None, url: str = "http://energyd") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(application(stage.build().api_host(), token=token))
    return httpx.AsyncClient(transport=transport, base_url=url, timeout=None)


async def test_the_page_is_one_document_that_asks_nobody_else(stage: Stage) -> None:
    async with asking(stage) as client:
        answer = await client.get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    marked_up = answer.text.split("<script>")[0]
    addresses = re.findall(r"""(?:src|href|action)\s*=\s*["']?([^"'\s>]+)|url\(([^)]*)\)|@import""", marked_up)
    assert {(named or styled)[:5] for named, styled in addresses} <= {"data:", "#hatc", "#uncl"}
    links = set(re.findall(r"https?://[^\s\"'`)]+", answer.text))
    assert links == {"http://www.w3.org/2000/svg"}, "the name of a format, not an address that is asked"


async def test_only_what_is_in_the_page_may_run_and_nobody_may_frame_or_store_it(stage: Stage) -> None:
    async with asking(stage) as client:
        answer = await client.get("/")
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        inside = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in inside]
        assert policy[rule] == " ".join(f"'sha256-{digest}'" for digest in digests)
        assert inside
    assert (policy["default-src"], policy["connect-src"], policy["frame-ancestors"]) == ("'none'", "'self'", "'none'")
    assert (policy["base-uri"], policy["form-action"]) == ("'none'", "'none'")
    assert not re.search(r"\son[a-z]+=|\sstyle=", page.DOCUMENT.split("<script>")[0]), "no attribute needs an exception"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_every_part_of_the_page_is_kept_and_so_comes_with_the_package() -> None:
    """A wheel holds what stands in src/energyd and is not ignored."""
    folder = Path(page.__file__).parent
    kept = subprocess.run(["git", "ls-files"], cwd=folder, capture_output=True, text=True, check=True).stdout.split()
    assert sorted(kept) == [
        "__init__.py",
        *sorted(["cards.js", "chart.js", "index.html", "page.css", "page.js", "parts.js", "words.js"]),
    ]


def test_nothing_that_is_answered_is_read_as_html() -> None:
    code = "".join(page.PROGRAMS)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|DOMParser", code)


async def test_with_a_token_everybody_gets_the_page_and_nobody_else_the_data(stage: Stage) -> None:
    async with asking(stage, TOKEN) as client:
        assert (await client.get("/")).status_code == 200
        for method, path in (("POST", "/"), ("GET", "/v1/overview"), ("GET", "/index.html")):
            assert (await client.request(method, path)).status_code == 401
        answer = await client.get("/v1/overview", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200


@pytest.mark.parametrize("name", ["127.0.0.1:8480", "localhost:8480", "localhost", "[::1]:8480", "energyd"])
async def test_a_browser_that_comes_through_a_tunnel_is_served(stage: Stage, name: str) -> None:
    async with asking(stage) as client:
        for path in ("/", "/v1/overview"):
            headers = {"host": name, "origin": f"http://{name}"}
            assert (await client.get(path, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "rebound.example:8480"},
        {"host": "127.0.0.1.example"},
        {"host": "[::1"},
        {"host": "10.0.0.1"},
        {"host": "127.0.0.1:8480", "origin": "https://other.example"},
        {"host": "127.0.0.1:8480", "origin": "http://127.0.0.1:3000"},
        {"host": "127.0.0.1:8480", "origin": "null"},
    ],
)
async def test_the_pages_of_other_sites_get_nothing_and_stop_nothing(stage: Stage, headers: dict[str, str]) -> None:
    async with asking(stage) as client:
        for path in ("/", "/v1/overview", "/metrics"):
            answer = await client.get(path, headers=headers)
            assert (answer.status_code, "energy" in answer.text) == (403, False)
        assert (await client.post("/v1/pause", headers=headers)).status_code == 403
    assert stage.events("spending.paused") == []


async def test_who_brings_the_token_may_come_by_any_name(stage: Stage) -> None:
    """Such as through a proxy that adds it; other sites do not have it."""
    async with asking(stage, TOKEN, "http://energyd.example") as client:
        answer = await client.get("/v1/overview", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
