"""What the pages name exists: links, files, commands and their options."""

import re
import shlex

import nbformat
import pytest
import typer.main
from test_packaging import ROOT

from medix_lite.cli import app

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "notebooks").glob("*.md"), *(ROOT / "medix_lite").rglob("*.md")])
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
COMMANDS = typer.main.get_command(app).commands
named = pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=lambda path: path.name)


def text_of(page):
    if page.suffix == ".md":
        return page.read_text()
    return "\n\n".join(cell.source for cell in nbformat.read(page, 4).cells if cell.cell_type == "markdown")


def anchors(page):
    """What GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@named
def test_links_lead_somewhere(page):
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"", text_of(page)):
        place, _, anchor = "".join(link).partition("#")
        if place.startswith(("http:", "https:", "mailto:", "data:")):
            continue
        target = page.parent / place if place else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append("".join(link))
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_files_that_are_named_are_there(page):
    """Words in code marks that look like a file of this repository."""
    text = re.sub(r"```.*?```", "", text_of(page), flags=re.DOTALL)
    words = {word.strip(".,;:") for quoted in re.findall(r"`([^`\n]+)`", text) for word in quoted.split()}
    named = [word for word in words if word.startswith(("data/", "tests/", "notebooks/", "medix_lite/", "figures/", ".ci/"))]
    assert [word for word in named if not any(ROOT.glob(word.rstrip("/")))] == []


def calls(page):
    """Every `medix-lite COMMAND ...` in a block of code, with lines that go on joined."""
    for block in re.findall(r"```\w*\n(.*?)```", text_of(page), flags=re.DOTALL):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            words = shlex.split(line, comments=True)
            place = next((n for n, word in enumerate(words) if word.endswith("medix-lite")), None)
            if place is not None and len(words) > place + 1:
                yield words[place + 1], words[place + 2 :]


@named
def test_commands_and_options_exist(page):
    for command, arguments in calls(page):
        assert command in COMMANDS, command
        options = {name for parameter in COMMANDS[command].params for name in (*parameter.opts, *parameter.secondary_opts)}
        given = {argument.partition("=")[0] for argument in arguments if re.match(r"--?[a-z]", argument)}
        assert given <= options | {"--help"}, f"{command}: {given - options}"


def test_the_readme_names_every_command():
    line = next(line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("Commands: `"))
    assert set(re.search(r"`([^`]+)`", line)[1].split()) == set(COMMANDS)
