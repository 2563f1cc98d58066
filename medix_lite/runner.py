"""Run the notebooks under papermill, the same as by hand, into a run folder."""

import logging
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
import papermill

from .files import REPOSITORY, InputError, clear_errors
from .profiles import load_profile, parse_settings
from .runs import absolute_source, open_run, preflight

NOTEBOOKS = REPOSITORY / "notebooks"


def find_notebooks(wanted: Sequence[str] = ()) -> list[Path]:
    """Paths of the course's notebooks, in order; `wanted` picks by number or beginning of the name.

    Raises:
        InputError: nothing has that number or name.

    >>> [path.stem for path in find_notebooks(["03", "05_reward"])]
    ['03_grpo_training', '05_reward_signals']
    """
    if not (everything := sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))):
        raise InputError(f"no notebooks in {NOTEBOOKS}; run from a clone of the repository")
    for name in wanted:
        if not any(path.name.startswith(name) for path in everything):
            raise InputError(f"no notebook {name!r}; there are {', '.join(path.stem for path in everything)}")
    return [path for path in everything if path.name.startswith(tuple(wanted) or "")]


def check_parameters(notebooks: Sequence[Path], parameters: dict[str, Any]) -> None:
    """Every parameter must be one of some notebook's.

    Raises:
        InputError: a name is unknown.

    >>> check_parameters(find_notebooks(["00"]), {"sed": 1})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    medix_lite.files.InputError: unknown parameter 'sed'; the notebooks take ...
    """
    known = {name for path in notebooks for name in papermill.inspect_notebook(str(path))}
    for name in parameters:
        if name == "run_dir":
            raise InputError("parameter 'run_dir' is given by --out")
        if name not in known:
            raise InputError(f"unknown parameter {name!r}; the notebooks take {', '.join(sorted(known))}")


def run_notebooks(out: Path, choices: dict[str, Any], notebooks: Sequence[str], parameters: dict[str, Any], resume: bool) -> None:
    """Execute the notebooks in order into `out/notebooks`, with a line on each; a finished one is not executed again on `resume`.

    Args:
        out: the run folder; must not exist unless `resume`.
        choices: `profile`, `source`, `seed`, `judge` and `settings` as `runs.open_run` takes them.
        notebooks: which, by number or beginning of the name; all if empty.
        parameters: further notebook parameters.

    Raises:
        InputError: bad choices, or a notebook failed; the message says which cell and why.

    >>> import tempfile
    >>> out = Path(tempfile.mkdtemp())
    >>> choices = {"profile": "tiny-cpu", "source": "phantoms", "seed": 0, "judge": "", "settings": "data.train=8,data.test=4"}
    >>> run_notebooks(out, choices, ["00"], {}, resume=False)  # doctest: +ELLIPSIS
    00_start_here (1 of 1) ...
    00_start_here: ... s
    >>> [path.name for path in (out / "notebooks").iterdir()]
    ['00_start_here.ipynb']
    """
    out = Path(out).resolve()
    logging.getLogger("papermill").setLevel(logging.ERROR)
    paths = find_notebooks(notebooks)
    check_parameters(paths, parameters)
    if out.exists() and (not out.is_dir() or any(out.iterdir())) and not (resume and out.is_dir()):
        raise InputError(f"{out} exists already; add --resume to go on with it, or choose another folder")
    profile = load_profile(choices["profile"], parse_settings(choices["settings"]))
    choices = choices | {"source": absolute_source(choices["source"])}
    preflight(profile.model_copy(update={"judge": choices["judge"] or profile.judge}))
    open_run(out, **choices)
    (out / "figures").mkdir(exist_ok=True)
    for picture in (REPOSITORY / "figures").glob("idea_*.svg"):  # which the notebooks show from beside their folder
        shutil.copy(picture, out / "figures")
    given = {"run_dir": str(out)} | choices | parameters
    how: dict[str, Any] = {"kernel_name": "python3", "cwd": str(NOTEBOOKS), "progress_bar": sys.stderr.isatty()}
    for number, path in enumerate(paths, 1):
        done, part = out / "notebooks" / path.name, out / "notebooks" / f".{path.stem}.part.ipynb"
        if done.exists():
            print(f"{path.stem}: done before", flush=True)
            continue
        takes = papermill.inspect_notebook(str(path))
        taken = {name: value for name, value in given.items() if name in takes}
        started = time.perf_counter()
        print(f"{path.stem} ({number} of {len(paths)}) ...", flush=True)
        try:
            with clear_errors(part):
                part.parent.mkdir(parents=True, exist_ok=True)
                papermill.execute_notebook(str(path), str(part), taken, extra_arguments=["--log-level=ERROR"], **how)
        except papermill.PapermillExecutionError as error:
            failed = part.replace(out / "notebooks" / f"{path.stem}.failed.ipynb")
            why = error.evalue if error.ename == "InputError" else f"cell {error.exec_count}: {error.ename}: {error.evalue}"
            raise InputError(f"notebook {path.stem}: {' '.join(why.split())} (executed copy: {failed})") from error
        nbformat.validate(nbformat.read(part, as_version=4))
        part.replace(done)
        print(f"{path.stem}: {time.perf_counter() - started:.0f} s", flush=True)
