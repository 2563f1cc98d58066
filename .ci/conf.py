"""Sphinx's settings for `make site`: the course and its library as pages that need no network."""

import json
import re
from pathlib import Path

from docutils import nodes
from numpy.typing import ArrayLike
from pygments.lexers import JsonLexer
from sphinx.util.typing import stringify_annotation

ROOT = Path(__file__).resolve().parents[1]

project = html_title = "medix_lite"
root_doc = "README"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
html_theme = "furo"
html_copy_source = html_show_copyright = False
highlight_language = "none"
smartquotes = False

# The notebooks are shown as they were committed. Nothing is loaded for their widgets, which need a kernel: see `complete_source`.
nb_execution_mode = "off"
nb_ipywidgets_js = {}
nb_render_markdown_format = "gfm"
myst_heading_anchors = 3

add_module_names = False
autodoc_default_options = {"members": True, "member-order": "bysource", "exclude-members": "model_config"}
autodoc_preserve_defaults = True
autosummary_generate = False
napoleon_use_ivar = True
maximum_signature_line_length = 100

# No icon, so that browsers ask for none. Furo's headings are large for a phone, and its column is narrow for code on a wide screen.
HEAD = """<link rel="icon" href="data:,"><style>
@media (max-width: 46em) { body h1 { font-size: 1.8em } }
@media (min-width: 110em) { body .content { width: 60em } }
</style>"""

CONTENTS = """
```{toctree}
:hidden:
:glob:
:caption: The course
notebooks/*
```

```{toctree}
:hidden:
:caption: The library
reference/medix_lite
commands
```

```{toctree}
:hidden:
:glob:
:caption: The project
CONTRIBUTING
CHANGELOG
medix_lite/**
```
"""


def write_reference(app):
    """A page for each module; a package's page lists its modules."""
    folder = Path(app.srcdir) / "reference"
    folder.mkdir(exist_ok=True)
    files = [path for path in sorted((ROOT / "medix_lite").rglob("*.py")) if path.name not in ("cli.py", "__main__.py")]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in files]
    for name in names:
        title = name.removeprefix("medix_lite.")
        page = f"{title}\n{'=' * len(title)}\n\n.. automodule:: {name}\n"
        inside = [other for other in names if other.rpartition(".")[0] == name]
        if inside:
            listed = "".join(f"   {other}\n" for other in inside)
            page += f"\n.. autosummary::\n\n{listed.replace(f'{name}.', '')}\n.. toctree::\n   :hidden:\n\n{listed}"
        (folder / f"{name}.rst").write_text(page)


def complete_source(app, docname, source):
    """The front page gets the contents; solutions are folded; a sentence replaces a widget, whose state asks for scripts."""
    if docname == root_doc:
        source[0] += CONTENTS
    if Path(app.env.doc2path(docname)).suffix != ".ipynb":
        return
    notebook = json.loads(source[0])
    notebook["metadata"].pop("widgets", None)
    for tags in (cell["metadata"].get("tags", []) for cell in notebook["cells"]):
        if "solution" in tags:
            tags.append("hide-cell")
    for output in (output for cell in notebook["cells"] for output in cell.get("outputs", [])):
        if "application/vnd.jupyter.widget-view+json" in output.get("data", {}):
            output["data"] = {"text/plain": "(Here stands a widget. It needs a running kernel: open this notebook in JupyterLab.)"}
    source[0] = json.dumps(notebook)


def mark_up(app, what, name, thing, options, lines):
    """Docstrings are plain text with Markdown's code marks; in reStructuredText these are doubled, and other signs mean nothing."""
    paragraphs = re.split(r"(\n\s*\n)", "\n".join(lines))
    for n, paragraph in enumerate(paragraphs):
        if not paragraph.lstrip().startswith(">>>"):
            parts = re.split(r"`([^`]+)`", paragraph)
            parts[::2] = [re.sub(r"[*|\\]|_\b", r"\\\g<0>", part) for part in parts[::2]]
            parts[1::2] = [r"\ ``{}``\ ".format(re.sub(r"\s*\n\s*", " ", part.strip())) for part in parts[1::2]]
            paragraphs[n] = "".join(parts)
    lines[:] = "".join(paragraphs).split("\n")


def shorten(app, what, name, thing, options, signature, returned):
    """What numpy makes of `ArrayLike` fills three lines."""
    return signature and signature.replace(stringify_annotation(ArrayLike, "smart"), "ArrayLike"), returned


def set_dashes(app, tree):
    """Between a parameter and what it is; smart quotes would do that too, but also change quotes and options."""
    for text in list(tree.findall(lambda node: isinstance(node, nodes.Text) and node == " -- ")):
        text.parent.replace(text, nodes.Text(" – "))


def extend_head(app, page, template, context, tree):
    context["metatags"] = context.get("metatags", "") + HEAD


def setup(app):
    app.add_lexer("jsonl", JsonLexer)
    # The lines below what a search finds are read from its page, which a browser refuses where the site was opened from the disk.
    app.add_js_file(None, body="DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = location.protocol != 'file:'")
    app.connect("html-page-context", extend_head)
    app.connect("builder-inited", write_reference)
    app.connect("source-read", complete_source)
    app.connect("doctree-read", set_dashes)
    app.connect("autodoc-process-signature", shorten)
    app.connect("autodoc-process-docstring", mark_up, priority=400)  # before napoleon
