"""Fetching from a real server on this machine: what is pinned arrives, anything else is refused and leaves nothing behind."""

import functools
import shutil
import tarfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from medix_lite.curation.fetch import PINNED, fetch, tree_hash
from medix_lite.files import InputError


@pytest.fixture
def host(tmp_path):
    """The address of a server of `tmp_path/served`."""
    (tmp_path / "served").mkdir()
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def serve(tmp_path, name, folder):
    """Puts a folder where the archive of the pinned commit is looked for."""
    pinned = PINNED[name]
    file = tmp_path / "served" / pinned["repository"] / "archive" / f"{pinned['commit']}.tar.gz"
    file.parent.mkdir(parents=True)
    with tarfile.open(file, "w:gz") as archive:
        archive.add(folder, arcname=f"repository-{pinned['commit']}/{pinned['folder']}")


def test_the_pinned_files_arrive(real_data, tmp_path, host):
    serve(tmp_path, "pubmedqa", real_data / "pubmedqa" / "data")
    out = fetch("pubmedqa", tmp_path / "new" / "pubmedqa", host)
    assert tree_hash(out / "data") == tree_hash(real_data / "pubmedqa" / "data") == PINNED["pubmedqa"]["sha256"]
    assert [path.name for path in out.parent.iterdir()] == ["pubmedqa"]
    with pytest.raises(InputError, match="exists already"):
        fetch("pubmedqa", out, host)


def test_the_copy_for_tests_is_the_pinned_one(real_data):
    assert tree_hash(real_data / "bccd" / "BCCD") == PINNED["bccd"]["sha256"]


def test_other_files_are_refused(real_data, tmp_path, host):
    shutil.copytree(real_data / "pubmedqa" / "data", tmp_path / "changed")
    with (tmp_path / "changed" / "test_ground_truth.json").open("a") as handle:
        handle.write("\n")
    serve(tmp_path, "pubmedqa", tmp_path / "changed")
    with pytest.raises(InputError, match="other files than the pinned ones"):
        fetch("pubmedqa", tmp_path / "new" / "pubmedqa", host)
    assert not list((tmp_path / "new").iterdir())


def test_a_server_without_it_and_a_torn_archive_are_named(tmp_path, host):
    with pytest.raises(InputError, match=r"cannot fetch .*404"):
        fetch("bccd", tmp_path / "new" / "bccd", host)
    file = tmp_path / "served" / PINNED["bccd"]["repository"] / "archive" / f"{PINNED['bccd']['commit']}.tar.gz"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"\x1f\x8b torn")
    with pytest.raises(InputError, match="cannot fetch"):
        fetch("bccd", tmp_path / "new" / "bccd", host)
    assert not list((tmp_path / "new").iterdir())


def test_only_what_is_pinned_can_be_fetched(tmp_path):
    with pytest.raises(InputError, match="use one of bccd, pubmedqa"):
        fetch("mimic", tmp_path / "new")
