"""Fetching: the name of a public data set in; its files at a pinned commit, with their hash checked, out. Needs a network."""

import hashlib
import shutil
import tarfile
import tempfile
import zlib
from pathlib import Path
from urllib.request import urlopen

from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential

from ..files import InputError, clear_errors, read_table, refuse_existing

# For each data set `repository`, `commit`, the `folder` that is kept, and the `sha256` of that (see `tree_hash`).
PINNED = {name: about["fetched"] for name, about in read_table("curation")["sources"].items() if "fetched" in about}


def fetch(name: str, out: Path, host: str = "https://github.com") -> Path:
    """Download a data set into `out`, which appears when it is whole and its hash is right; returns `out`.

    Raises:
        InputError: the name is unknown, `out` exists, the network fails three times, or the files are not the pinned ones.

    >>> fetch("mimic", Path("unused"))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    medix_lite.files.InputError: unknown data set 'mimic'; use one of ...
    """
    if name not in PINNED:
        raise InputError(f"unknown data set {name!r}; use one of {', '.join(PINNED)}")
    refuse_existing(out)
    pinned = PINNED[name]
    with clear_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as work:
        url = f"{host}/{pinned['repository']}/archive/{pinned['commit']}.tar.gz"
        try:
            _download(url, Path(work, "archive"))
            with tarfile.open(Path(work, "archive")) as archive:
                archive.extractall(work, filter="data")
        except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
            raise InputError(f"cannot fetch {url}: {error}; try again, or give the path of a copy that you have") from error
        (root,) = (path for path in Path(work).iterdir() if path.is_dir())
        if (found := tree_hash(root / pinned["folder"])) != pinned["sha256"]:
            hashes = f"hash {found[:12]}, not {pinned['sha256'][:12]}"
            raise InputError(f"{url} holds other files than the pinned ones ({hashes}); not kept")
        root.rename(out)
    return out


def tree_hash(folder: Path) -> str:
    """SHA-256 over the names and contents of all files below a folder, in order of their names.

    >>> import tempfile
    >>> one, other = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
    >>> for folder in (one, other):
    ...     _ = (folder / "a.txt").write_text("flu")
    >>> tree_hash(one) == tree_hash(other)
    True
    """
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(folder).as_posix()}\0{file.stat().st_size}\0".encode() + file.read_bytes())
    return digest.hexdigest()


@retry(retry=retry_if_exception_type(OSError), stop=stop_after_attempt(3), wait=wait_exponential(max=8), reraise=True)
def _download(url: str, file: Path) -> None:
    with urlopen(url, timeout=60) as answer, file.open("wb") as handle:
        shutil.copyfileobj(answer, handle)
