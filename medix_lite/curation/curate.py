"""Curation: a source in; samples by split, the rejected rows, the counts and a data set card out."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..files import InputError, read_json, sha256_of, write_json, write_jsonl, write_text
from ..samples import Sample, write_samples
from .checks import check_samples
from .sources import ABOUT, SPLITS, About, fingerprint, parse_spec, read_source
from .splits import check_no_leak

NOTICE = "Research and education only, not for clinical use."


def curate(source: str, out: Path, *, sizes: dict[str, int], seed: int, image_size: int | None) -> dict[str, Any]:
    """Load, check and write a source; returns what `curation.json` holds.

    Writes into `out`: `samples_train.jsonl`, `samples_test.jsonl`, `samples_probe.jsonl`, `rejected.jsonl`, `card.md`
    and, last, `curation.json`. The same settings on the same source give the same bytes. A folder already curated with
    these settings is left as it is; one curated with others is refused, so that nothing is written over.

    Args:
        source: see `sources.load_source`, as for `sizes`, `seed` and `image_size`.
        out: the folder to write into; made if absent.

    Raises:
        InputError: the source cannot be read, a group or picture crosses splits, a split that was asked for has no
            usable sample, or `out` holds the outputs of other settings.
    """
    out = Path(out)
    name, _ = parse_spec(source)
    asked = {split: sizes.get(split, 0) for split in SPLITS}
    settings = {"source": source, "sizes": asked, "seed": seed, "image_size": image_size}
    settings["source_hash"] = fingerprint(source)
    report_file = out / "curation.json"
    if report_file.exists() and (report := _finished(report_file, settings)):
        return report

    loaded = read_source(source, out, sizes=sizes, seed=seed, image_size=image_size)
    kept, rejected = check_splits(loaded.splits)
    check_no_leak(kept)
    rejected = loaded.rejected + rejected
    for split in SPLITS:
        if asked[split] and not kept[split]:
            reason = next((row["reason"] for row in rejected if row["split"] == split), "the source has none")
            raise InputError(f"{source}: no usable sample for {split}; {reason}")

    for split in SPLITS:
        write_samples(out / f"samples_{split}.jsonl", kept[split])
    write_jsonl(out / "rejected.jsonl", rejected)
    report = {
        "settings": settings,
        "counts": {split: {"available": loaded.available[split], **_tally(split, kept[split], rejected)} for split in SPLITS},
        "by_modality": count_by(kept, lambda sample: sample.modality or "text only"),
        "by_kind": count_by(kept, kind_of),
        "by_reference": count_by(kept, lambda sample: sample.reference, top=10),
        "licence": ABOUT[name].licence,
        "labels": ABOUT[name].labels,
        "notice": NOTICE,
    }
    write_text(out / "card.md", dataset_card(name, ABOUT[name], report))
    written = [*(f"samples_{split}.jsonl" for split in SPLITS), "rejected.jsonl", "card.md"]
    report["sha256"] = {file: sha256_of(out / file) for file in written}
    write_json(report_file, report)
    return report


def check_splits(splits: dict[str, list[Sample]]) -> tuple[dict[str, list[Sample]], list[dict[str, Any]]]:
    """`check_samples` over all splits at once, so that no id crosses them; rejected rows name their split."""
    everything = [(split, sample) for split, samples in splits.items() for sample in samples]
    kept, rejected = check_samples([sample for _, sample in everything])
    good = {id(sample) for sample in kept}
    refused = [split for split, sample in everything if id(sample) not in good]
    rejected = [row | {"split": split} for row, split in zip(rejected, refused, strict=True)]
    return {split: [s for s in samples if id(s) in good] for split, samples in splits.items()}, rejected


def kind_of(sample: Sample) -> str:
    """The kind of question: the field `kind`, or the tiny world's family."""
    return str((sample.model_extra or {}).get("kind") or (sample.facts or {}).get("family") or "unknown")


def count_by(splits: dict[str, list[Sample]], key: Any, top: int | None = None) -> dict[str, dict[str, int]]:
    """Per split, how many samples have each value of `key`, the commonest first (ties in alphabetical order)."""

    def ranked(samples: Iterable[Sample]) -> dict[str, int]:
        counts = Counter(str(key(sample)) for sample in samples)
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:top])

    return {split: ranked(samples) for split, samples in splits.items()}


def dataset_card(name: str, about: About, report: dict[str, Any]) -> str:
    """The card, with the YAML header that the Hugging Face Hub reads."""
    total = sum(counts["kept"] for counts in report["counts"].values())
    size = ["n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M"][min(max(len(str(total)) - 3, 0), 3)]
    text_only = all(set(tags) <= {"text only"} for tags in report["by_modality"].values())
    task = "question-answering" if text_only else "visual-question-answering"
    counts = report["counts"]
    files = "".join(f"  - split: {s}\n    path: samples_{s}.jsonl\n" for s in SPLITS if counts[s]["kept"])
    columns = ("available", "in", "kept", "rejected")
    rows = "".join(f"| {s} | {' | '.join(str(counts[s][column]) for column in columns)} |\n" for s in SPLITS)
    settings = report["settings"]
    return f"""---
license: {about.licence}
language:
- en
task_categories:
- {task}
tags:
- medical
size_categories:
- {size}
configs:
- config_name: default
  data_files:
{files}---

# {name}, curated by medix_lite

{NOTICE}

- Licence: {about.licence}
- Labels: {about.labels}
- Source `{settings["source"]}`, seed {settings["seed"]}, image size {settings["image_size"] or "as in the source"}

| split | available | in | kept | rejected |
|---|---|---|---|---|
{rows}
"Available" counts what the source offers, "in" what was drawn from it (and rows that could not become samples);
every rejected row stands in `rejected.jsonl` with its reason.
"""


def _finished(report_file: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """The report of a finished curation with these settings, or None if one of its files has changed or gone.

    Raises:
        InputError: the folder holds the outputs of other settings.
    """
    report = read_json(report_file)
    found = report.get("settings", {}) if isinstance(report, dict) else {}
    differing = [name for name, value in settings.items() if found.get(name) != value]
    if differing:
        what = ", ".join(differing)
        raise InputError(f"{report_file.parent} was curated with another {what}; choose another folder or delete it")
    files = {report_file.parent / name: digest for name, digest in report["sha256"].items()}
    return report if all(file.exists() and sha256_of(file) == digest for file, digest in files.items()) else None


def _tally(split: str, kept: list[Sample], rejected: list[dict[str, Any]]) -> dict[str, int]:
    refused = sum(row["split"] == split for row in rejected)
    return {"in": len(kept) + refused, "kept": len(kept), "rejected": refused}
