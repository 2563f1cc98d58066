"""What a person sees: a real Chromium opens JupyterLab, rates pairs in the preference widget, and opens the notebooks."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from PIL import Image
from playwright.sync_api import expect, sync_playwright
from test_notebooks import SHORT
from vllm_server import free_port, is_healthy, stop

from medix_lite.evaluation.preference import make_study
from medix_lite.files import read_jsonl

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
# The rule makes everything that a page fetches from elsewhere an error in its console.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
QUIET = {"fetchNews": "false", "checkForUpdates": False}
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
TIMEOUT = 60_000  # ms
LABELS = {"left": "left is better", "tie": "no difference", "right": "right is better"}


@pytest.fixture(scope="module")
def chromium():
    """The system's Chromium; it is no Python package, so where it is absent the tests are skipped, but not in CI."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found and os.environ.get("CI"):
        pytest.fail("Chromium is not installed, and CI opens JupyterLab in it")
    if not found:
        pytest.skip("Chromium is not installed (on Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def lab(chromium, tmp_path_factory):
    """A JupyterLab server that reads nothing of the user's: its folder and its address."""
    home, folder = tmp_path_factory.mktemp("jupyter"), tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "figures", folder / "figures")  # which the notebooks show
    places = {f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    settings = home / "config/lab/user-settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(QUIET))
    port = free_port()
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    command += ["--IdentityProvider.token=", f"--ServerApp.root_dir={folder}"]
    environment = os.environ | places | {"IPYTHONDIR": str(home / "ipython"), "PYTHONPATH": str(ROOT)}
    with (home / "server.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 120
    try:
        while not is_healthy(f"{url}/api"):
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail((home / "server.log").read_text())
            time.sleep(0.2)
        yield folder, url
    finally:
        stop(server)


@pytest.fixture
def page(chromium, tmp_path):
    """A fresh page, with no error in its console and no dialog at the end; its last state is kept as a picture."""
    context, errors = chromium.new_context(viewport={"width": 1300, "height": 1000}), []
    page = context.new_page()
    page.set_default_timeout(TIMEOUT)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield page
    page.screenshot(path=tmp_path / "page.png")
    dialogs = page.locator(".jp-Dialog").all_inner_texts()
    context.close()
    assert (errors, dialogs) == ([], [])


@pytest.fixture
def study(lab):
    """Twelve pairs, every other one about a picture, and a notebook that shows them as notebook 04 does."""
    folder, _ = lab
    Image.new("RGB", (64, 48), "teal").save(folder / "picture.png")
    for name in ("ours", "theirs"):
        known = {"question": "What is <b>seen</b>?", "reference": "flu", "source": "mine"}
        answers = [f"<think>A first line.\nA second one.</think>\n<answer>{name} {n}</answer>" for n in range(12)]
        rows = [{"id": str(n), "images": ["picture.png"] * (n % 2), "response": text} | known for n, text in enumerate(answers)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert make_study(folder / "study", folder / "ours.jsonl", folder / "theirs.jsonl") == 12
    cell = nbformat.v4.new_code_cell(
        "from pathlib import Path\n"
        "from medix_lite.evaluation.preference import preference_widget\n"
        'display(preference_widget(Path("study"), rater="me"))'
    )
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=KERNEL), folder / "rate.ipynb")
    return folder / "study"


def run_cell(page, count):
    """Run the first cell, as the kernel's run number `count`."""
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.locator(".jp-CodeCell .cm-content").first.click()
    page.keyboard.press("Shift+Enter")
    page.get_by_text(f"[{count}]:").wait_for()


def expect_pair(page, pair, rated):
    """The widget says how many are rated and shows the whole pair, pictures included."""
    expect(page.get_by_text(f"{rated} of 12 rated")).to_be_visible(timeout=TIMEOUT)
    for text in (pair["question"], pair["left"], pair["right"]):
        expect(page.locator(".jp-OutputArea-output").get_by_text(text)).to_be_visible()
    pictures = page.locator(".jp-OutputArea-output img")
    expect(pictures).to_have_count(len(pair["images"]))
    for picture in pictures.all():
        expect(picture).to_have_js_property("naturalWidth", 64)


def test_ten_pairs_are_rated_and_found_saved_after_a_reload(lab, study, page):
    pairs, kept = read_jsonl(study / "pairs.jsonl"), study / "ratings_me.jsonl"
    choices = [("left", "tie", "right")[n % 3] for n in range(10)]
    page.goto(f"{lab[1]}/lab/tree/rate.ipynb")
    run_cell(page, 1)
    for n, choice in enumerate(choices):
        expect_pair(page, pairs[n], n)
        if n == 4:
            page.get_by_placeholder("why?").fill('"clearer" & <b>shorter</b>')
        page.wait_for_timeout(600)  # nobody reads faster, and the widget takes faster clicks for one
        page.get_by_role("button", name=LABELS[choice]).click(click_count=1 + n % 2)
    expect_pair(page, pairs[10], 10)
    expected = [{"id": pairs[n]["id"], "choice": choice, "reason": ""} for n, choice in enumerate(choices)]
    expected[4]["reason"] = '"clearer" & <b>shorter</b>'
    assert read_jsonl(kept) == expected

    page.keyboard.press("Control+s")
    page.get_by_text("Saving completed").wait_for()
    page.reload()
    run_cell(page, 2)
    expect_pair(page, pairs[10], 10)
    assert read_jsonl(kept) == expected


def test_every_notebook_opens_beside_its_script(lab, page):
    """Scripts older than their notebooks, as after `make publish`: jupytext opens them only where both hold the same cells."""
    folder, url = lab
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for script in (folder / "notebooks").glob("*.py"):
        os.utime(script, (0, 0))
    page.goto(f"{url}/lab/tree/notebooks")
    for path in NOTEBOOKS:
        page.get_by_role("listitem", name=path.name).dblclick()
        title = nbformat.read(path, 4).cells[0].source.splitlines()[0].removeprefix("# ")
        expect(page.get_by_role("heading", name=title, level=1)).to_be_visible(timeout=TIMEOUT)
        expect(page.locator(".jp-NotebookPanel:visible .jp-OutputArea-output").first).to_be_attached(timeout=TIMEOUT)
        with (folder / "notebooks" / path.with_suffix(".py").name).open("a") as script:
            script.write("\n# %% [markdown]\n# Added in the script.\n")
        reply = page.request.get(f"{url}/api/contents/notebooks/{path.name}").json()
        assert reply["content"]["cells"][-1]["source"] == "Added in the script."


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem[:2])
def test_all_cells_run(lab, page, short_run, path):
    """As a person does it, with the menu, in a run folder where the training is done; notebook 02 has a widget to type into."""
    (folder, url), opened = lab, f"opened/{path.name}"
    (folder / "opened").mkdir(exist_ok=True)
    chosen = {"run_dir": ("../runs/tiny-cpu", short_run), "settings": ("", SHORT)}
    for suffix, quote in ((".py", '"'), (".ipynb", '\\"')):
        text = path.with_suffix(suffix).read_text().replace("seed: int = 0", "seed: int = 4")
        for name, (default, value) in chosen.items():
            text = text.replace(f"{name}: str = {quote}{default}{quote}", f"{name}: str = {quote}{value}{quote}")
        (folder / opened).with_suffix(suffix).write_text(text)
    notebook = nbformat.read(folder / opened, 4)
    for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
        cell.update(outputs=[], execution_count=None)
    nbformat.write(notebook, folder / opened)

    # A workspace of its own, or JupyterLab opens the notebooks of the tests before it too.
    page.goto(f"{url}/lab/workspaces/{path.stem}/tree/{opened}")
    idle = page.get_by_text("Python 3 (ipykernel) | Idle")
    idle.wait_for()
    deadline = time.monotonic() + 600
    while True:
        was_idle = idle.count()
        page.keyboard.press("Control+s")
        page.wait_for_timeout(2000)
        cells = [cell for cell in nbformat.read(folder / opened, 4).cells if cell.cell_type == "code"]
        assert [out.traceback for cell in cells for out in cell.outputs if out.output_type == "error"] == []
        counts = [cell.execution_count for cell in cells]
        if all(counts) and idle.count():
            break
        assert time.monotonic() < deadline, counts
        if was_idle and idle.count():  # at first, and again where a kernel that was not connected yet has dropped it
            page.get_by_role("menuitem", name="Run", exact=True).click()
            page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
            page.wait_for_timeout(1000)
    if path.stem.startswith("02"):
        typed = page.get_by_role("textbox", name="answer")
        typed.fill("pneumothorax")
        typed.press("Enter")
        expect(page.locator(".widget-label", has_text="-> total")).to_contain_text("(NO by", timeout=TIMEOUT)
