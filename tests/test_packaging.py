"""The requirements files agree with each other, and nothing in the repository names a machine."""

import re
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DIRECT = ["requirements.in", "requirements-dev.in", "requirements-gpu.in", "requirements-vllm-cpu.in"]
LOCKS = [name.replace(".in", ".txt") for name in DIRECT]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def lines(name: str) -> list[str]:
    """The requirements of a file, without comments and blank lines."""
    stripped = (line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
    return [line for line in stripped if line]


def pins(requirements: list[str]) -> dict[str, set[str]]:
    """Package name to the versions it is pinned to; one that is not pinned by == is left out."""
    found: dict[str, set[str]] = {}
    for line in requirements:
        match = re.fullmatch(r"([A-Za-z0-9_.-]+)==([^ ;*]+)(?: *;.*)?", line)
        if match:
            found.setdefault(normal(match[1]), set()).add(match[2])
    return found


@pytest.mark.parametrize("name", [*DIRECT, *LOCKS])
def test_every_requirement_is_pinned(name: str) -> None:
    assert len(lines(name)) > 0
    assert [line for line in lines(name) if not pins([line])] == []


def test_all_files_pin_the_same_versions() -> None:
    versions: dict[str, set[str]] = {}
    for name in [*DIRECT, *LOCKS, "constraints.in", "requirements-vllm-cpu-overrides.in"]:
        for package, pinned in pins(lines(name)).items():
            versions.setdefault(package, set()).update(pinned)
    assert {package: sorted(pinned) for package, pinned in versions.items() if len(pinned) > 1} == {}


@pytest.mark.parametrize(("direct", "lock"), zip(DIRECT, LOCKS, strict=True))
def test_each_lock_holds_its_direct_requirements(direct: str, lock: str) -> None:
    assert set(pins(lines(direct))) <= set(pins(lines(lock)))


@pytest.mark.parametrize("lock", ["requirements-gpu.txt", "requirements-vllm-cpu.txt"])
def test_the_larger_locks_hold_the_whole_course(lock: str) -> None:
    assert set(pins(lines("requirements.txt"))) <= set(pins(lines(lock)))


def test_the_installed_package_asks_for_the_direct_pins() -> None:
    try:
        asked = metadata.requires("medix_lite") or []
    except metadata.PackageNotFoundError:
        pytest.skip("medix_lite is not installed here")
    base = [requirement for requirement in asked if "extra ==" not in requirement]
    assert pins(base) == pins(lines("requirements.in"))


def test_the_license_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert re.search(r"Apache License\s+Version 2\.0, January 2004", text)
    assert "END OF TERMS AND CONDITIONS" in text


def tracked_text_files() -> list[Path]:
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [file for file in files if file.is_file() and b"\0" not in file.read_bytes()[:8192]]


def test_no_file_names_a_machine_or_a_registry() -> None:
    # Written in pieces, so that this file does not find itself.
    hosts = ["py" + "pi.org", "pythonhosted" + ".org", "py" + "pi.python.org", "download.pytorch" + ".org"]
    options = ["--index" + "-url", "--extra-index" + "-url", "--find" + "-links"]
    folders = "|".join(["wo" + "rk", "ro" + "ot", "ho" + "me", "Us" + "ers", "t" + "mp/w", "tm" + "p/ipykernel_[0-9]*"])
    # Not after a word character: a pathname inside a URL or in encoded picture data is nothing of the kind.
    path = re.compile(rf"(?<![\w.+/=-])/(?:{folders})/")
    found = []
    for file in tracked_text_files():
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if any(needle in line for needle in hosts + options) or path.search(line):
                found.append(f"{file.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert found == []
