"""Reading and writing files so that bad input is named in one line and nothing written is ever lost."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = REPOSITORY / "data"
CHUNK = 1000  # rows that a kill can lose
NOTICE = "Research and education only, not for clinical use."


class InputError(Exception):
    """What the user gave cannot be used; the message is one line that says what, where and what to do.

    >>> try:
    ...     read_json("nowhere.json")
    ... except InputError as error:
    ...     print(error)
    cannot read nowhere.json: No such file or directory
    """


def refuse_existing(out: Path | None) -> None:
    """What is there is never written over.

    Raises:
        InputError: the file or folder is there already.

    >>> refuse_existing(REPOSITORY)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    medix_lite.files.InputError: ... exists already; choose another, or delete it
    """
    if out and out.exists():
        raise InputError(f"{out} exists already; choose another, or delete it")


def file_name(name: str) -> str:
    """A name without what a file system or a shell may stumble over.

    >>> file_name("openai:m@http://localhost")
    'openai_m_http___localhost'
    """
    short = name if len(name) <= 100 else f"{name[:80]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return re.sub(r"[^\w.-]", "_", short)


@contextmanager
def clear_errors(path: Path | str, doing: str = "write", advice: str = "; free space or choose another folder") -> Iterator[None]:
    """Turn an operating-system error while writing (or reading) `path` (full disk, no permission) into an `InputError`.

    >>> with clear_errors("scores.json"):
    ...     raise OSError(28, "No space left on device")
    Traceback (most recent call last):
    medix_lite.files.InputError: cannot write scores.json: No space left on device; free space or choose another folder
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot {doing} {path}: {error.strerror or error}{advice}") from error


@contextmanager
def write_aside(path: Path | str) -> Iterator[Path]:
    """A file to write first, which then becomes `path`: a reader sees the old file or the whole new one, never half.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "scores.txt"
    >>> with write_aside(path) as aside:
    ...     _ = aside.write_text("all of it")
    ...     path.exists()
    False
    >>> path.read_text()
    'all of it'
    """
    path = Path(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    with clear_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield aside
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> None:
    """Write a text in UTF-8, atomically."""
    with write_aside(path) as aside, aside.open("w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON, atomically.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "scores.json"
    >>> write_json(path, {"accuracy": 0.5})
    >>> write_json(path, {"accuracy": float("nan")})  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    ValueError: Out of range float values are not JSON compliant
    >>> read_json(path)  # what was there is whole
    {'accuracy': 0.5}
    """
    write_text(path, _encodable_json(value, indent=2) + "\n")


def read_json(path: Path | str) -> Any:
    """The JSON value in a file.

    Raises:
        InputError: the file is missing or is not JSON.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "metrics.json"
    >>> write_text(path, '{"loss": NaN}')
    >>> read_json(path)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    medix_lite.files.InputError: /...metrics.json is not valid JSON: NaN is not JSON
    """
    try:
        with clear_errors(path, "read", advice=""):
            return _parse_json(Path(path).read_bytes())
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON: {error}") from error


@cache
def read_table(name: str) -> Any:
    """What stands in the project's own `data/NAME.yaml`, read once; nobody may change it.

    >>> read_table("grpo")["algorithms"]["dr_grpo"]
    {'loss_type': 'dr_grpo', 'scale_rewards': 'none', 'beta': 0.0}
    """
    return yaml.safe_load((DATA / f"{name}.yaml").read_text(encoding="utf-8"))


def write_jsonl(path: Path | str, rows: Iterable[dict[str, Any]]) -> None:
    """Write one object a line, atomically.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "rows.jsonl"
    >>> write_jsonl(path, ({"share": 1 / n} for n in (2, 1, 0)))
    Traceback (most recent call last):
    ZeroDivisionError: division by zero
    >>> path.exists()  # all rows or none
    False
    """
    write_text(path, "".join(json_line(row) for row in rows))


def append_jsonl(path: Path | str, rows: Iterable[dict[str, Any]]) -> None:
    """Append rows; a torn last line left by a killed writer is cut off first, so it cannot corrupt the next row.

    A last line that lacks only its newline is a whole row, and is kept.

    Raises:
        InputError: the last line is no row, torn or whole, or the file cannot be written.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "rows.jsonl"
    >>> write_text(path, '{"step": 1}\\n{"st')  # a writer was killed
    >>> append_jsonl(path, [{"step": 2}])
    >>> read_jsonl(path)
    [{'step': 1}, {'step': 2}]
    """
    path = Path(path)
    with clear_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as handle:
            newline = b""
            handle.seek(max(0, handle.tell() - 1))
            if handle.read() not in (b"", b"\n"):
                handle.seek(0)
                content = handle.read()
                start, newline = content.rfind(b"\n") + 1, b"\n"
                try:
                    parse_row(content[start:])
                except ValueError:
                    if content[start : start + 1] != b"{":
                        raise InputError(f"{path} holds something else than rows; choose another file") from None
                    newline = b""
                    handle.truncate(start)
            handle.seek(0, os.SEEK_END)
            handle.write(newline + "".join(json_line(row) for row in rows).encode())


def read_jsonl(path: Path | str, *, torn_last_line: bool = False) -> list[dict[str, Any]]:
    """All rows of a JSONL file.

    Args:
        path: the file, UTF-8, one object a line; blank lines are skipped.
        torn_last_line: accept (and leave out) a torn last line, as a killed writer leaves it.

    Raises:
        InputError: the file is missing, or a line is not a JSON object; the message names file and line.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "metrics.jsonl"
    >>> write_text(path, '{"step": 1}\\n{"ste')
    >>> read_jsonl(path, torn_last_line=True)  # a writer was killed; without the flag this is an InputError
    [{'step': 1}]
    """
    with clear_errors(path, "read", advice=""):
        lines = Path(path).read_bytes().split(b"\n")
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            rows.append(parse_row(line))
        except ValueError as error:
            if not (torn_last_line and number == len(lines)):
                raise InputError(f"{path}, line {number}: {error}; mend or delete that line") from error
    return rows


def complete_jsonl(
    path: Path, keys: Sequence[str], make: Callable[[list[int]], Iterable[dict[str, Any]]], what: str, unfinished: str
) -> list[dict[str, Any]]:
    """One row for each key, in order; what `path` lacks is made and appended `CHUNK` rows at a time, so that a killed call goes on.

    Args:
        path: the file; each row carries its key as `input`.
        keys: a hash of everything that a row depends on.
        make: gives the rows of these places in `keys`.
        what: how an error calls what the file should hold.
        unfinished: field that is None in a row that is to be made again.

    Raises:
        InputError: the file holds something else; nothing in it is written over.

    >>> import tempfile
    >>> path, made = Path(tempfile.mkdtemp()) / "rows.jsonl", []
    >>> def make(places):
    ...     made.extend(places)
    ...     return [{"score": place} for place in places]
    >>> for keys in (["a"], ["a", "b"]):
    ...     rows = complete_jsonl(path, keys, make, "scores", "score")
    >>> made, [row["score"] for row in rows]  # the first row stood there
    ([0, 1], [0, 1])
    """
    found = read_jsonl(path, torn_last_line=True) if path.exists() else []
    rows: dict[Any, dict[str, Any]] = {row.get("input"): row for row in found}
    # A row without a result may be of what was asked before: it is nobody's loss.
    others = {key for key, row in rows.items() if key is None or row.get(unfinished, 0) is not None} - set(keys)
    if others or (path.exists() and path.read_bytes()[:1] not in (b"", b"{")):
        raise InputError(f"{path} holds {what} of other answers or settings, or something else; choose another file")
    missing = [place for place, key in enumerate(keys) if key not in rows or rows[key][unfinished] is None]
    for start in range(0, len(missing), CHUNK):
        chunk = missing[start : start + CHUNK]
        new = {keys[place]: row | {"input": keys[place]} for place, row in zip(chunk, make(chunk), strict=True)}
        append_jsonl(path, new.values())
        rows |= new
    done = [rows[key] for key in keys]
    write_jsonl(path, done)  # always: a kill may have left a row made again beside its old self
    return done


def parse_row(line: bytes) -> dict[str, Any]:
    """The object in one line of a JSONL file.

    Raises:
        ValueError: the line is not JSON, or not an object.

    >>> parse_row(b'{"score": 1}')
    {'score': 1}
    >>> parse_row(b'[1]')
    Traceback (most recent call last):
    ValueError: expected a JSON object, found list
    """
    try:
        row = _parse_json(line)
    except ValueError as error:
        raise ValueError(f"not valid JSON ({error})") from error
    if not isinstance(row, dict):
        raise ValueError(f"expected a JSON object, found {type(row).__name__}")
    return row


def json_line(row: dict[str, Any]) -> str:
    """One JSONL line. Lone surrogates, which UTF-8 cannot hold, are written as JSON escapes.

    >>> json_line({"answer": "Ödem"})
    '{"answer": "Ödem"}\\n'
    """
    return _encodable_json(row) + "\n"


def _encodable_json(value: Any, indent: int | None = None) -> str:
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    return json.dumps(value, indent=indent, allow_nan=False) if re.search("[\ud800-\udfff]", text) else text


def _parse_json(content: bytes) -> Any:
    """JSON in UTF-8, without the NaN and Infinity that Python reads but nobody may write; raises only ValueError."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    try:
        return json.loads(content.decode("utf-8-sig", "surrogatepass"), parse_constant=refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def render(template: str, **values: Any) -> str:
    """A page from one of the package's templates; HTML is escaped, and the filter `yaml` writes a value as YAML does.

    >>> scores = {"judge": "rules", "by_task": {}, "accuracy": {"value": None}, "unscored": {"value": 0}, "macro": None}
    >>> print(render("score.txt.j2", model="medix", scores=scores))
    medix, judge rules
    all questions: not known; unscored 0
    macro average over tasks: None
    Research and education only, not for clinical use.
    """
    from jinja2 import Environment, PackageLoader  # most commands write no page

    loader = PackageLoader("medix_lite", ".")
    environment = Environment(loader=loader, autoescape=template.endswith("html.j2"), trim_blocks=True, lstrip_blocks=True)
    environment.filters["yaml"] = lambda value: yaml.safe_dump([value], default_flow_style=True, width=float("inf"))[1:-2]
    return environment.get_template(template).render(notice=NOTICE, **values)


def sha256_of(path: Path | str) -> str:
    """SHA-256 of a file's bytes, in hexadecimal.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "empty"
    >>> path.touch()
    >>> sha256_of(path)[:16]
    'e3b0c44298fc1c14'
    """
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
