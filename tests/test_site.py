"""The site: built by its command, then every page opened in a real Chromium, from a server and from the disk."""

import os
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urldefrag

import pytest
import test_browser
from playwright.sync_api import expect
from test_packaging import ROOT

from medix_lite.rewards.composite import composite_total

pytestmark = pytest.mark.slow

chromium = test_browser.chromium
PHONE = {"width": 390, "height": 844}
LOOK = r"""() => ({
    ids: [...document.querySelectorAll("[id]")].map(part => part.id),
    links: [...document.links].map(link => link.href),
    blank: [...document.images].filter(image => !image.naturalWidth).map(image => image.src),
    outputs: [...document.querySelectorAll(".cell_output")].some(cell => cell.innerText.trim() || cell.querySelector("img")),
    marks: [...document.querySelectorAll("article p")].map(part => part.innerText).filter(text => /`|\*\*|\|--|>>>/.test(text)),
    width: document.documentElement.scrollWidth,
})"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the finished pages."""
    folder = tmp_path_factory.mktemp("site")
    # With this environment, as it is
    command = ["make", "--old-file=.venv/.dev", "site", f"SITE={folder}", f"BIN={os.path.dirname(sys.executable)}"]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / "html"


@pytest.fixture(scope="module", params=["server", "disk"])
def address(request, site):
    """Where a reader finds the site; on a server it lies in a folder, as project pages do."""
    if request.param == "disk":
        yield site.as_uri()
        return
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=site.parent))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{site.name}"
    server.shutdown()


@pytest.fixture(scope="module")
def page(chromium, address):
    """A page on a phone; at the end nothing was wrong in its console and nothing was asked of another place."""
    context, wrong = chromium.new_context(viewport=PHONE), []
    page = context.new_page()

    def note(what):
        wrong.append(f"{page.url}: {what}")

    page.on("pageerror", note)
    page.on("console", lambda message: message.type in ("error", "warning") and note(message.text))
    page.on("request", lambda request: request.url.startswith((address, "data:")) or note(request.url))
    page.on("requestfailed", lambda request: note(f"no {request.url}"))
    page.on("response", lambda response: response.status < 400 or note(f"{response.status} {response.url}"))
    yield page
    context.close()
    assert wrong == []


@pytest.fixture(scope="module")
def seen(page, address, site):
    """What every page shows, by its address."""
    shown = {}
    for path in sorted(site.rglob("*.html")):
        url = f"{address}/{path.relative_to(site)}"
        page.goto(url)
        shown[url] = page.evaluate(LOOK)
    return shown


def test_every_link_leads_somewhere(seen, address, site):
    broken, count = [], 0
    for url, shown in seen.items():
        for link in set(shown["links"]):
            target, anchor = urldefrag(link)
            if not target.startswith(address):
                assert target.startswith("https://"), f"{url}: {link}"
                continue
            count += 1
            there = target in seen if target.endswith(".html") else (site / unquote(target.removeprefix(f"{address}/"))).is_file()
            if not there or (anchor and unquote(anchor) not in seen[target]["ids"]):
                broken.append(f"{url}: {link}")
    print(f"{len(seen)} pages, {count} links to check")
    assert broken == []
    assert count > len(seen)


def test_every_page_looks_right(seen):
    """Its pictures are there, no mark-up is left over, and it is no wider than a phone."""
    assert {url: shown["blank"] for url, shown in seen.items() if shown["blank"]} == {}
    assert {url: shown["marks"] for url, shown in seen.items() if shown["marks"]} == {}
    assert {url: shown["width"] for url, shown in seen.items() if shown["width"] > PHONE["width"]} == {}


def test_every_notebook_shows_its_outputs(seen, address):
    notebooks = [path.stem for path in test_browser.NOTEBOOKS]
    assert [name for name in notebooks if not seen[f"{address}/notebooks/{name}.html"]["outputs"]] == []


def test_the_reference_says_what_a_docstring_says(page, address):
    page.goto(f"{address}/reference/medix_lite.rewards.composite.html")
    shown = page.locator("dl", has=page.locator('[id="medix_lite.rewards.composite.composite_total"]'))
    expect(shown).to_contain_text(composite_total.__doc__.splitlines()[0])


def test_the_search_finds_a_word(page, address):
    page.set_viewport_size({"width": 1300, "height": 1000})
    page.goto(f"{address}/index.html")
    page.get_by_placeholder("Search").fill("composite_total")
    page.keyboard.press("Enter")
    found = page.locator("#search-results li a", has_text="composite_total")
    found.first.click()
    expect(page).to_have_url(f"{address}/reference/medix_lite.rewards.composite.html#medix_lite.rewards.composite.composite_total")
