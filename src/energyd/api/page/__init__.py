"""The page to look at: one document with its style and its programs inside, which are allowed by their hashes alone.

It holds no data and asks for everything at `/v1/overview`, so everybody who reaches the daemon may have it.
"""

import base64
import hashlib
from importlib import resources

from fastapi import APIRouter, Depends
from starlette.responses import HTMLResponse

from energyd.api.answers import answers
from energyd.api.bodies import NothingQuery
from energyd.api.reading import query

_FILES = resources.files(__name__)


def _text(name: str) -> str:
    return (_FILES / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


STYLE = _text("page.css")
PROGRAMS = tuple(_text(name) for name in ("words.js", "parts.js", "chart.js", "cards.js", "page.js"))
DOCUMENT = (
    _text("index.html")
    .replace("<!-- style -->", f"<style>{STYLE}</style>")
    .replace("<!-- programs -->", "\n".join(f"<script>{program}</script>" for program in PROGRAMS))
)
POLICY = {
    "default-src": "'none'",
    "style-src": _hash(STYLE),
    "script-src": " ".join(map(_hash, PROGRAMS)),
    "connect-src": "'self'",
    "img-src": "data:",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in POLICY.items()),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

router = APIRouter()


@router.get(
    "/",
    responses=answers(None, text="the page, for a browser"),
    response_class=HTMLResponse,
    dependencies=[Depends(query(NothingQuery))],
)
async def page() -> HTMLResponse:
    """The page to look at, for people: what /v1/overview knows, drawn anew every few seconds."""
    return HTMLResponse(DOCUMENT, headers=HEADERS)
