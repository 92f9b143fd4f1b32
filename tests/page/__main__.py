"""Looks at the page with a real Chromium: `python -m tests.page`, or with `--shots FOLDER` to look at it oneself.

Daemons that have lived for hours are served to it, are stopped and come back. It takes about three minutes and needs
`apt-get install chromium` and `pip install playwright`.
"""

import argparse
import contextlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, Self

from .served import INJECTED

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
TOKEN = "a-token-for-the-page"
PATIENCE_SECONDS = 120.0
DESK, PHONE, SMALL = {"width": 1280, "height": 900}, {"width": 375, "height": 812}, {"width": 320, "height": 600}
BEGAN = time.monotonic()
LEAST_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3: of text to what is behind it."""
CONTRASTS = (Path(__file__).parent / "contrasts.js").read_text().split("\n", 1)[1]


def say(text: str) -> None:
    sys.stdout.write(f"{time.monotonic() - BEGAN:6.1f} s  {text}\n")
    sys.stdout.flush()


def until(happened: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < end, f"not seen: {what}"
        time.sleep(0.1)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextlib.contextmanager
def served(scene: str, *, hours: float, port: int | None = None, token: str = "") -> Iterator[str]:
    """A daemon with so many hours behind it; its URL."""
    place = port or free_port()
    command = [sys.executable, "-m", "tests.page.served", "--scene", scene, "--hours", str(hours), "--port", str(place)]
    with subprocess.Popen(
        command + (["--token", token] if token else []), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "served\n"
            yield f"http://127.0.0.1:{place}/"
        finally:
            process.send_signal(signal.SIGKILL)


class Looking:
    """A browser that looks at one page, and complains of whatever its console says."""

    def __init__(self, browser: Any, url: str, *, view: dict[str, int] = DESK, scheme: str = "light") -> None:
        self.context = browser.new_context(viewport=view, color_scheme=scheme, timezone_id="Europe/Berlin")
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.page = self.context.new_page()
        self.url = url
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.answers: list[Any] = []
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def until_drawn(self) -> Any:
        """Waits until an answer is drawn, and returns what the page was told."""
        self.page.wait_for_function("() => state.overview && !document.querySelector('main').hidden")
        return self.page.evaluate("() => JSON.parse(JSON.stringify(state.overview))")

    def until_drawn_anew(self) -> Any:
        heard = self.page.evaluate("() => state.heardAt")
        self.page.wait_for_function("(heard) => state.heardAt > heard", arg=heard)
        return self.until_drawn()

    def texts(self, selector: str) -> list[str]:
        return [" ".join(text.split()) for text in self.page.locator(selector).all_inner_texts()]

    def is_quiet(self) -> None:
        assert self.complaints == [], self.complaints
        assert all(url.startswith((self.url, "data:")) for url in self.asked), self.asked


# --- what is written there, worked out once more ------------------------------------------------------------------


def grouped(value: int) -> str:
    return f"{value:,}".replace(",", "\u202f")


def number(value: int) -> str:
    return " ".join(grouped(value).split())


def trx(sun: int) -> str:
    whole, _, parts = f"{Decimal(sun) / 1_000_000:f}".partition(".")
    parts = parts.rstrip("0")
    return number(int(whole)) + (f".{parts}" if parts else "")


def figures(look: Looking) -> None:
    told = look.until_drawn()
    for row, card in zip(told["addresses"], look.page.locator(".card").all(), strict=True):
        text = " ".join(card.inner_text().split())
        for known in [row["available"], row["floor"]]:
            assert known is None or number(known) in text, (known, text)
        if row["cycles"]:
            assert f"{row['cycles']['remaining']} cycles" in text
        rentals = [order for order in row["orders"] if order["until_at"] and order["until_at"] > told["day_from"]]
        assert card.locator("svg .rental").count() == len(rentals)
    spent = [f"{trx(one['spent_hour_sun'])} of {trx(one['budget_hour_sun'])} TRX" for one in told["policies"]]
    assert look.texts(".budget .spent:nth-child(2) .sum") == spent
    rows = look.page.locator("#decisions tbody tr")
    assert rows.count() == len(told["decisions"]) == 30
    costs = [f"{trx(one['cost_sun'])} TRX" if one["cost_sun"] else "" for one in told["decisions"]]
    assert look.texts("#decisions td.cost") == costs
    totals = told["totals"]
    assert [f"{trx(totals['spent_day_sun'])} TRX", f"{trx(totals['balance_sun'])} TRX"] == [
        look.texts(".tile .figure")[place] for place in (0, 3)
    ]
    say("the figures are those of /v1/overview, to the sun")


def amounts(look: Looking) -> None:
    """No sun is lost on the way to the screen, whatever the amount."""
    chance = Random(1)
    suns = [
        0,
        1,
        10,
        999_999,
        1_000_000,
        2_130_000,
        *(chance.randrange(10 ** chance.randint(1, 15)) for _ in range(500)),
    ]
    assert [" ".join(text.split()) for text in look.page.evaluate("(suns) => suns.map(trx)", suns)] == list(
        map(trx, suns)
    )
    say("every amount is exact")


def levels(look: Looking) -> None:
    """The line of each chart goes through every level, and no gap is drawn as one."""
    told = look.until_drawn()
    for row, chart in zip(told["addresses"], look.page.locator(".chart").all(), strict=True):
        paths = [path.get_attribute("d") for path in chart.locator("path.level").all()]
        heights = [float(height) for path in paths for height in re.findall(r"[ V]([0-9.]+)(?=H)", path)]
        known = [level for level in row["lowest"] if level is not None]
        assert len(heights) == len(known)
        scale = look.page.evaluate("(row) => scales(row, state.overview, 600).top", row)
        drawn = [(96 - height) / 80 * scale for height in heights]
        assert all(abs(one - other) <= scale / 400 for one, other in zip(drawn, known, strict=True))
        assert chart.locator(".gap").count() >= 1
    say("every level of a day is drawn where it belongs, and what is not known is a gap")


def injection(look: Looking) -> None:
    look.until_drawn()
    assert INJECTED in look.texts(".card strong")
    assert look.page.locator("img, main script").count() == 0
    assert "injected" not in look.page.title()
    say("a label full of HTML is a text")


def colours(browser: Any, url: str) -> None:
    grounds = set()
    for scheme in ("light", "dark"):
        with Looking(browser, url, scheme=scheme) as look:
            look.until_drawn()
            grounds.add(look.page.evaluate("() => getComputedStyle(document.body).backgroundColor"))
            weak = [(name, ratio) for name, ratio in look.page.evaluate(CONTRASTS) if ratio < LEAST_CONTRAST]
            assert weak == [], (scheme, weak)
            look.is_quiet()
    assert len(grounds) == 2
    say(f"light and dark, and every text has a contrast of at least {LEAST_CONTRAST}")


def narrow(browser: Any, url: str) -> None:
    for view in (PHONE, SMALL):
        with Looking(browser, url, view=view) as look:
            look.until_drawn()
            wide = look.page.evaluate("() => document.documentElement.scrollWidth")
            assert wide <= view["width"], wide
            look.page.locator(".chart").nth(2).click()
            assert look.page.locator(".tip:visible").count() == 1
            assert look.page.evaluate("() => document.documentElement.scrollWidth") <= view["width"]
            look.is_quiet()
    say("nothing is wider than a phone of 375 or 320 pixels")


def tooltips(look: Looking) -> None:
    look.until_drawn()
    page, chart = look.page, look.page.locator(".chart").nth(2)
    chart.focus()
    for key in ("ArrowLeft", "ArrowLeft", "PageUp"):
        page.keyboard.press(key)
    heading = look.texts(".tip:visible strong")
    page.evaluate("() => scrollTo(0, 300)")
    address = page.locator(".card .address").nth(1)
    address.evaluate("(node) => getSelection().selectAllChildren(node)")
    page.keyboard.press("Control+C")
    look.until_drawn_anew()
    assert look.texts(".tip:visible strong") == heading
    assert re.fullmatch(r"\d\d:\d\d.\d\d:\d\d", heading[0])
    assert page.evaluate("() => scrollY") == 300
    assert page.evaluate("() => navigator.clipboard.readText()") == page.locator(".card .address").nth(1).get_attribute(
        "title"
    )
    assert page.evaluate("() => getSelection().toString().length") == 34
    page.keyboard.press("Escape")
    assert page.locator(".tip:visible").count() == 0
    spoken = chart.get_attribute("aria-label")
    assert re.search(r"Energy over the last 24 hours; lowest .*; floor 65.000; .* rentals", spoken), spoken
    say("a tooltip, a selection and the scroll outlive what is drawn anew; keys and screen readers get there")


def finding(browser: Any) -> None:
    with served("many", hours=0.3) as url, Looking(browser, url) as look:
        assert look.until_drawn()["sheets"] == 3
        look.page.click("#forth")
        look.page.wait_for_function("() => state.overview.sheet === 2")
        assert look.texts(".card strong")[0] == "wallet 21"
        look.page.fill("#find", "wallet 5")
        look.page.wait_for_function("() => state.overview.found === 11")
        assert look.texts("#addresses-title") == ["11 of 60 addresses"]
        look.is_quiet()
    say("sixty addresses come in sheets, and can be searched")


def absence(browser: Any) -> None:
    port = free_port()
    with contextlib.ExitStack() as looking:
        with served("empty", hours=0.1, port=port) as url:
            look = looking.enter_context(Looking(browser, url))
            look.until_drawn()
            assert look.texts(".calm")[:2] == ["No open alerts", "No enabled policy watches an address yet."]
            look.is_quiet()
        look.page.wait_for_selector("#notice:visible")
        said = look.texts("#notice")[0]
        assert re.fullmatch(r"No answer since \d\d:\d\d:\d\d; what you see is \d+ s old\.", said), said
        with served("empty", hours=0.1, port=port):
            look.page.wait_for_selector("#notice", state="hidden")
            assert look.texts("#updated")[0].startswith("updated")
    say("it says that the daemon is gone, and goes on when it is back")


def token(browser: Any) -> None:
    with served("empty", hours=0.1, token=TOKEN) as url:
        with Looking(browser, url) as look:
            page = look.page
            page.wait_for_selector("#token:visible")
            page.fill("#token-text", "another")
            page.keyboard.press("Enter")
            page.wait_for_selector("#notice:visible")
            assert "not its token" in look.texts("#notice")[0]
            page.fill("#token-text", TOKEN)
            page.keyboard.press("Enter")
            look.until_drawn()
            assert page.locator("#token:visible").count() == 0
            page.reload()
            look.until_drawn()
            assert TOKEN not in page.content()
            assert TOKEN not in page.url
        with Looking(browser, url) as look:
            look.page.wait_for_selector("#token:visible")
            assert look.page.locator("main:visible").count() == 0
    say("it asks for the token, keeps it for its tab, and asks again in another one")


def shots(browser: Any, url: str, folder: Path, name: str) -> None:
    for scheme in ("light", "dark"):
        for kind, view in (("desk", DESK), ("phone", PHONE)):
            with Looking(browser, url, view=view, scheme=scheme) as look:
                look.until_drawn()
                look.page.screenshot(path=folder / f"{name}-{kind}-{scheme}.png", full_page=True)


def look_at_everything(browser: Any) -> None:
    with served("trouble", hours=23.5) as url:
        with Looking(browser, url) as look:
            for check in (figures, amounts, levels, injection, tooltips):
                check(look)
            look.is_quiet()
        narrow(browser, url)
        colours(browser, url)
    with served("dry-run", hours=1) as url, Looking(browser, url) as look:
        look.until_drawn()
        assert look.texts("#mode") == ["DRY RUN"]
        say("a dry run says so")
    finding(browser)
    absence(browser)
    token(browser)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.page", description=__doc__)
    parser.add_argument("--shots", type=Path, help="take pictures into this folder, and check nothing")
    wanted = parser.parse_args()
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - nothing else needs it
    except ImportError:
        sys.exit("playwright is missing: pip install playwright")
    if CHROMIUM is None:
        sys.exit("no Chromium is here: apt-get install chromium")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, headless=True)
        if wanted.shots is None:
            look_at_everything(browser)
            return
        wanted.shots.mkdir(parents=True, exist_ok=True)
        for scene in ("trouble", "day", "dry-run", "many", "empty"):
            with served(scene, hours=2 if scene == "many" else 23.5) as url:
                shots(browser, url, wanted.shots, scene)
            say(scene)


if __name__ == "__main__":
    main()
