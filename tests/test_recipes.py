"""The recipes of CONTRIBUTING.md, carried out on a copy of the repository as they stand there."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from test_packaging import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text()
RECIPES = dict(re.findall(r"^## (A \w+)\n(.*?)(?=^## |\Z)", PAGE, flags=re.DOTALL | re.MULTILINE))


def test_there_are_the_recipes_that_are_promised():
    assert list(RECIPES) == ["A task", "A judge", "A signal", "A modality"]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_does_what_it_says(name, tmp_path):
    for folder in ("data", "medix_lite"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "medix-lite"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m medix_lite "$@"\n')
    command.chmod(0o755)
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    how = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True}
    checks = 0
    for language, role, content in re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```", RECIPES[name], flags=re.DOTALL | re.MULTILINE):
        if language == "diff":
            done = subprocess.run(["git", "apply", "--recount", "--unidiff-zero", "-"], input=content, **how)
        elif role == "check":
            checks += 1
            run = ["sh", "-e", "-c", content] if language == "bash" else [sys.executable, "-c", content]
            done = subprocess.run(run, **how)
        else:
            (tmp_path / role).write_text(content)
            continue
        assert done.returncode == 0, done.stderr
    assert checks == 1
