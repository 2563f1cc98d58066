"""The run doctor. In: a run's metrics and adapter. Out: what keeps it from learning, in plain words, and what to change."""

import operator
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..files import DATA, InputError, read_json, read_table

COMPARE = {"<": operator.lt, ">": operator.gt}


class Diagnosis(NamedTuple):
    """One thing that is wrong with a run.

    Attributes:
        name: of the fault, as in `data/doctor.yaml`.
        evidence: the signs that hold, with what was measured.
        means, change: what that says, and what to do about it.

    >>> [fault] = diagnose({"step": step, "reward": 0.1, "truncated": 1} for step in range(9))
    >>> isinstance(fault, Diagnosis), fault.name, fault.evidence
    (True, 'completions cut off', 'truncated first is 1 (> 0.3)')
    """

    name: str
    evidence: str
    means: str
    change: str


def vitals(rows: Iterable[dict[str, Any]], adapter: Path | None = None) -> dict[str, float]:
    """What `data/doctor.yaml` can ask about: `COLUMN first`, `last`, `mean`, `most`, `rise` and `fall` for each column of numbers.

    Args:
        rows: of `metrics.jsonl`.
        adapter: folder of the LoRA adapter, whose movement is measured; None leaves it out.

    Raises:
        InputError: the metrics hold no training step.

    >>> found = vitals({"step": step, "reward": 0.25 * step, "loss": 0.0} for step in range(3))
    >>> found["reward first"], found["reward last"], found["reward rise"]
    (0.0, 0.5, 0.5)
    """
    table, found = list(rows), dict[str, float]()
    if not any("reward" in row for row in table):
        raise InputError("the metrics hold no training step yet; train first")
    names = dict.fromkeys(name for row in table for name in row)
    columns = {name: [row[name] for row in table if row.get(name) is not None] for name in names}
    gap = zip(columns.get("probe/judged_accuracy", ()), columns.get("probe/true_accuracy", ()), strict=False)
    columns["gap"] = [judged - true for judged, true in gap]
    if adapter and (adapter / "adapter_model.safetensors").exists():
        from safetensors.numpy import load_file

        weights = [w.ravel() for name, w in load_file(adapter / "adapter_model.safetensors").items() if "lora_B" in name]
        columns["adapter"] = [float(np.sqrt(np.mean(np.concatenate(weights) ** 2)))]
    for name, values in columns.items():
        if values:
            smooth = np.convolve(values, np.full(width := max(1, len(values) // 5), 1 / width), "valid")
            measured = {"first": smooth[0], "last": smooth[-1], "mean": np.mean(values), "most": np.max(values)}
            measured |= {"rise": smooth[-1] - smooth[0], "fall": smooth.max() - smooth[-1]}
            found |= {f"{name.rpartition('/')[2]} {what}": float(value) for what, value in measured.items()}
    return found


def diagnose(rows: Iterable[dict[str, Any]], adapter: Path | None = None) -> list[Diagnosis]:
    """Every fault whose signs are there, causes before consequences; none for a healthy run. Arguments as for `vitals`.

    >>> rows = [{"step": step, "reward": 0.1, "zero_variance_groups": 1, "truncated": 1} for step in range(9)]
    >>> [fault.name for fault in diagnose(rows)]  # its cause stands first
    ['completions cut off', 'rewards all equal']
    """
    measured, found = vitals(rows, adapter), []
    for name, fault in read_table("doctor").items():
        for signs in fault["when"]:
            parts = [sign.rsplit(" ", 2) for sign in signs]
            if all(what in measured and COMPARE[sign](measured[what], float(limit)) for what, sign, limit in parts):
                evidence = "; ".join(f"{what} is {measured[what]:.3g} ({sign} {limit})" for what, sign, limit in parts)
                found.append(Diagnosis(name, evidence, fault["means"], fault["change"]))
                break
    return found


def hold_against_reference(folder: Path) -> list[str]:
    """Whether a run's scores lie where those of the reference runs with the same settings do, in lines for people.

    A range of `data/reference/PROFILE.json` is the 99% prediction interval of one further run
    (`tests/benchmarks/reference_runs.py`).

    Returns:
        one line if the run is within them or cannot be compared; else a line for each score outside, and what differs.

    >>> import tempfile
    >>> from medix_lite.files import write_json
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_json(folder / "run.json", {"profile": {"name": "tiny-cpu"}})
    >>> hold_against_reference(folder)
    ['not compared with reference runs: there is no results.json']
    """
    choices, results = read_json(folder / "run.json"), folder / "results.json"
    path = DATA / "reference" / f"{choices['profile']['name']}.json"
    if missing := [file.name for file in (path, results) if not file.exists()]:
        return [f"not compared with reference runs: there is no {missing[0]}"]
    reference, scores, machine = read_json(path), read_json(results), read_json(folder / "environment.json")
    if other := _differences(choices | {"seed": None}, reference["choices"]):
        return [f"not comparable with the reference runs: {other}"]
    values = {name: scores[which][metric]["value"] for name in reference["ranges"] for which, metric in [name.split()]}
    outside = {name: limits for name, limits in reference["ranges"].items() if not limits[0] <= values[name] <= limits[1]}
    if not outside:
        return [f"within the ranges of {len(reference['runs'])} reference runs"]
    lines = [f"{name} {values[name]} lies outside of {low} to {high}" for name, (low, high) in outside.items()]
    known = {name: value for name, value in _flat(machine).items() if name in _flat(reference["machine"])}
    seeds = f"seed {choices['seed']} (there {', '.join(str(run['seed']) for run in reference['runs'])})"
    return [
        *lines,
        f"what differs from the reference runs: {', '.join(filter(None, [_differences(known, reference['machine']), seeds]))}",
    ]


def _differences(mine: dict[str, Any], theirs: dict[str, Any]) -> str:
    a, b = _flat(mine), _flat(theirs)
    return ", ".join(f"{name} {a.get(name)} (there {b.get(name)})" for name in a | b if a.get(name) != b.get(name))


def _flat(tree: dict[str, Any], name: str = "") -> dict[str, Any]:
    parts = [_flat(part, f"{name}{key}.") if isinstance(part, dict) else {f"{name}{key}": part} for key, part in tree.items()]
    return {key: value for part in parts for key, value in part.items()}
