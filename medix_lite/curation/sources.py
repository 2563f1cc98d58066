"""Sources by name: other people's files (or the tiny world) in, `Row`s out, always in the same order."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from ..files import InputError, read_table, sha256_of
from ..samples import content_id
from .bccd import read_bccd
from .mcq import read_mcq, read_pubmedqa
from .rows import Row
from .splits import SPLITS
from .tables import read_folder, read_hub, read_parquet

POSSIBLE = "phantoms, bccd:PATH, pubmedqa:PATH, folder:PATH, parquet:PATH, mcq:PATH, hub:ID@REVISION"
READERS = {"bccd": read_bccd, "pubmedqa": read_pubmedqa, "folder": read_folder, "parquet": read_parquet, "mcq": read_mcq}
TEXT = (".txt", ".xml", ".json", ".jsonl", ".csv", ".md")
ABOUT: dict[str, dict[str, Any]] = read_table("curation")["sources"]


def parse_spec(spec: str) -> tuple[str, str]:
    """Name of a source and what follows it: nothing for `phantoms`, `ID@REVISION` for the Hub, else an absolute path.

    Raises:
        InputError: the source is unknown, its path is missing, or a Hub data set has no pinned commit.

    >>> parse_spec("phantoms")
    ('phantoms', '')
    >>> parse_spec("hub:MBZUAI/medix-rl-data")
    Traceback (most recent call last):
    medix_lite.files.InputError: source 'hub:MBZUAI/medix-rl-data': pin the commit, hub:ID@REVISION with its 40 hexadecimal digits
    """
    name, _, rest = spec.partition(":")
    if name not in ABOUT or (name == "phantoms" and rest):
        raise InputError(f"unknown source {spec!r}; use one of {POSSIBLE}")
    if name != "phantoms" and not rest:
        raise InputError(f"source {name!r} needs a path: {name}:PATH")
    if name == "hub" and not re.fullmatch("[^@]*@[0-9a-f]{40}", rest):
        raise InputError(f"source {spec!r}: pin the commit, hub:ID@REVISION with its 40 hexadecimal digits")
    if name in ("phantoms", "hub"):
        return name, rest
    path = Path(rest).expanduser()
    if not (path.is_dir() or (name == "mcq" and path.is_file())):
        raise InputError(f"source {spec!r}: {path} is not a folder; give the folder that holds the data")
    return name, str(path.resolve())


def read_source(spec: str, *, sizes: dict[str, int], seed: int, folder: Path) -> Iterator[Row]:
    """All rows of a source.

    Args:
        spec: see `POSSIBLE`.
        sizes: how many phantoms to draw for each split; the other sources give all they have.
        seed: which phantoms.
        folder: where phantoms are drawn.

    >>> import tempfile
    >>> rows = read_source("phantoms", sizes={"train": 2, "test": 1}, seed=0, folder=Path(tempfile.mkdtemp()))
    >>> [row.split for row in rows]
    ['train', 'train', 'test']
    """
    name, rest = parse_spec(spec)
    if name == "phantoms":
        return _phantoms(sizes, seed, folder)
    if name == "hub":
        return read_hub(*rest.split("@"))
    return READERS[name](Path(rest))


def _phantoms(sizes: dict[str, int], seed: int, folder: Path) -> Iterator[Row]:
    from ..tiny_world.questions import make_samples

    for split in SPLITS:
        for sample in make_samples(sizes.get(split, 0), split, seed, folder):
            yield Row(sample.id, split, sample.model_dump(exclude={"id", "source", "images"}), tuple(sample.images))


def fingerprint(spec: str) -> str:
    """A hash of the files that a source reads (text by content, others by size), to notice when they change.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> before = fingerprint(f"folder:{folder}")
    >>> _ = (folder / "samples.csv").write_text("id,question,reference")
    >>> fingerprint(f"folder:{folder}") == before
    False
    """
    name, rest = parse_spec(spec)
    if name in ("phantoms", "hub"):
        return rest or "none"
    path = Path(rest)
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    shown = ((file, file.relative_to(path)) for file in files if file.is_file() and not file.name.startswith("."))
    return content_id(*(f"{inside} {sha256_of(file) if file.suffix in TEXT else file.stat().st_size}" for file, inside in shown))


def licence_of(spec: str) -> str:
    """The licence of a source: known for the named ones, else as the data set card says (README.md).

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "README.md").write_text("---\\nlicense: cc-by-4.0\\n---\\nMy scans")
    >>> licence_of(f"folder:{folder}")
    'cc-by-4.0'
    """
    name, rest = parse_spec(spec)
    licence = ABOUT[name]["licence"]
    if name == "hub":
        from huggingface_hub import dataset_info

        repository, _, revision = rest.partition("@")
        licence = getattr(dataset_info(repository, revision=revision).card_data, "license", None)
    elif licence == "unknown" and (card := Path(rest) / "README.md").is_file():
        header = re.match(r"\s*---(.*?)---", card.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
        with suppress(yaml.YAMLError, AttributeError):
            licence = yaml.safe_load(header[1]).get("license") if header else None
    return licence if isinstance(licence, str) and re.fullmatch(r"[\w.-]{1,40}", licence) else "unknown"


def short_name(spec: str) -> str:
    """A source without the machine's path: `folder:scans` for `folder:/some/where/scans`.

    >>> import tempfile
    >>> (scans := Path(tempfile.mkdtemp()) / "scans").mkdir()
    >>> short_name(f"folder:{scans}")
    'folder:scans'
    """
    name, rest = parse_spec(spec)
    return name if ABOUT[name]["licence"] != "unknown" else f"{name}:{rest if name == 'hub' else Path(rest).name}"
