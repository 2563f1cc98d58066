"""Files: what is written is never lost, and bad input is one clear line."""

import json
import resource
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medix_lite.files import (
    InputError,
    append_jsonl,
    read_json,
    read_jsonl,
    sha256_of,
    write_json,
    write_jsonl,
    write_text,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ROWS = st.lists(st.dictionaries(st.text(), VALUES, max_size=4), max_size=5)
ANY_TEXT = st.text(st.characters())  # with lone surrogates, which UTF-8 cannot hold


def one_line(error: pytest.ExceptionInfo[InputError]) -> str:
    text = str(error.value)
    assert text
    assert "\n" not in text
    return text


@given(ROWS)
def test_jsonl_round_trip(rows):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        write_jsonl(path, rows)
        assert read_jsonl(path) == rows
        append_jsonl(path, rows)
        assert read_jsonl(path) == rows + rows
        assert [file.name for file in Path(folder).iterdir()] == ["rows.jsonl"]


@given(ANY_TEXT)
def test_lone_surrogates_survive(text):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        write_jsonl(path, [{"text": text}])
        assert read_jsonl(path) == [{"text": text}]
        write_json(path, {"text": text})
        assert read_json(path) == {"text": text}


@settings(deadline=None, max_examples=25)
@given(st.lists(st.dictionaries(st.text(max_size=4), st.text(max_size=6), max_size=2), min_size=1, max_size=3))
def test_a_file_torn_at_any_byte_keeps_every_whole_row(rows):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        write_jsonl(path, rows)
        content = path.read_bytes()
        ends = [at for at, byte in enumerate(content) if byte == ord("\n")]
        for cut in range(len(content) + 1):
            path.write_bytes(content[:cut])
            whole = rows[: sum(end <= cut for end in ends)]
            assert read_jsonl(path, torn_last_line=True) == whole
            append_jsonl(path, [{"next": 1}])
            assert read_jsonl(path) == [*whole, {"next": 1}]


@pytest.mark.parametrize(
    "line", ["{", "[1]", "3", '{"a": NaN}', '{"a": -Infinity}', "[" * 100_000, '{"a": 1} x', '{"a": "\udcff"}']
)
def test_a_bad_line_is_named(tmp_path, line):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"ok": 1}\n\n' + line.encode("utf-8", "surrogateescape") + b"\n")
    with pytest.raises(InputError) as error:
        read_jsonl(path, torn_last_line=True)
    assert f"{path}, line 3" in one_line(error)


def test_missing_and_broken_files(tmp_path):
    for read in (read_json, read_jsonl):
        with pytest.raises(InputError) as error:
            read(tmp_path / "absent")
        assert "cannot read" in one_line(error)
    (tmp_path / "broken").write_text("{")
    with pytest.raises(InputError) as error:
        read_json(tmp_path / "broken")
    assert "not valid JSON" in one_line(error)


def test_a_byte_order_mark_is_no_part_of_the_data(tmp_path):
    (tmp_path / "rows.jsonl").write_bytes(b"\xef\xbb\xbf" + json.dumps({"a": 1}).encode() + b"\r\n")
    assert read_jsonl(tmp_path / "rows.jsonl") == [{"a": 1}]


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "text"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "new \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(InputError) as error:
        write_text(path / "below a file", "new")
    assert "cannot write" in one_line(error)


@pytest.mark.parametrize("write", [write_jsonl, append_jsonl])
def test_a_full_disk_is_one_clear_line_and_loses_no_row(tmp_path, write):
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, [{"old": 1}])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(InputError) as error:
            write(path, [{"new": "x" * 10_000}])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert f"cannot write {path}" in one_line(error)
    assert read_jsonl(path, torn_last_line=True) == [{"old": 1}]
    assert list(tmp_path.iterdir()) == [path]


def test_sha256(tmp_path):
    (tmp_path / "empty").touch()
    assert sha256_of(tmp_path / "empty") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
