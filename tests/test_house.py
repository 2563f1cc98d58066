"""House rules that a reader should be able to rely on."""

import ast
import graphlib
import importlib.util
import io
import os
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

import medix_lite

PACKAGE = Path(medix_lite.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
LAYOUT = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def lines_of_code(path):
    """Lines that hold code: blank lines, comments and docstrings do not count."""
    source = path.read_text()
    docstrings = set()
    for node in ast.walk(ast.parse(source)):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and ast.get_docstring(node) is not None:
            docstrings |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    code = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in LAYOUT:
            code |= set(range(token.start[0], token.end[0] + 1))
    return len(code - docstrings)


# What the tiny world is made of (its drawings, words and questions) and how tiny models are built. Nobody needs to read them
# to follow the course, so they have a budget of their own. The oracle is no part of it: every measurement rests on it.
WORLD = tuple(f"tiny_world/{name}" for name in ("phantoms", "drawing", "radiology", "optics", "lexicon", "questions"))
MAKERS = (*WORLD, "models/tiny", "models/warmup", "models/judge_data")


def test_the_library_keeps_its_budget():
    makers = {PACKAGE / f"{name}.py" for name in MAKERS}
    assert makers <= set(FILES)
    library, made = (sum(lines_of_code(f) for f in FILES if (f in makers) == apart) for apart in (False, True))
    print(f"{library} lines of code, and {made} that make the tiny world")
    assert library <= 5000
    assert made <= 1200


def test_nothing_unsafe_is_called():
    for path in FILES:
        text = path.read_text()
        assert "trust_remote_code=True" not in text, path
        assert not re.search(r"shell=True|os\.system|pickle\.load|torch\.load\(|(?<![.\w])(?:eval|exec)\(", text), path


def test_every_module_and_public_function_has_a_docstring():
    for path in FILES:
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree), path
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{path.name}: {node.name}"


def examples_of(node):
    """What the doctests of a function or class run, line by line."""
    return re.findall(r"^ *(?:>>>|\.\.\.) (.*)$", ast.get_docstring(node) or "", flags=re.MULTILINE)


def test_public_names_have_an_example():
    """Who asks for help on a name sees it at work, in its own docstring or in that of another one of the same module."""
    shown, absent = set(), set()
    for path in FILES:
        nodes = {node.name: node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        lines = "\n".join(line for node in nodes.values() for line in examples_of(node))
        for name in (name for name in nodes if not name.startswith("_")):
            has = examples_of(nodes[name]) or re.search(rf"\b{name}[(,]", lines)
            (shown if has else absent).add(f"{path.relative_to(PACKAGE)}: {name}")
    assert absent == set()
    assert len(shown) > 390


@pytest.mark.slow
def test_doctests():
    """All in one process, which imports packages and loads tiny models once; threads only slow down what is so small."""
    modules = [path for path in FILES if ">>>" in path.read_text()]
    assert len(modules) > 30
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=5", "--doctest-modules"]
    subprocess.run([*run, *map(str, modules)], check=True, cwd=PACKAGE.parent, env=os.environ | {"OMP_NUM_THREADS": "1"})


def imports_of(path):
    """The library's modules that a module imports, inside functions too, but not for its types alone."""
    tree, package = ast.parse(path.read_text()), module_of(path.parent / "__init__.py")
    guards = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    for_types = [id(node) for guard in guards for node in guard.body]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level and id(node) not in for_types:
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            yield from (f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base for alias in node.names)


def module_of(path):
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path) for path in FILES}


def test_no_modules_import_each_other_in_a_circle():
    graph = {module_of(path): set(imports_of(path)) - {module_of(path)} for path in FILES}
    assert sum(map(len, graph.values())) > 200
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError
