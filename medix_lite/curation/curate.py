"""Curation: sources in; samples by split, every rejected row with its reason, counts, card and report out.

First each row is examined by itself, a thousand at a time into `out/.work`, where a killed run goes on. Then the fingerprints
of all rows are held against each other, and last the rows are read once more and written. Only fingerprints stay in memory.
"""

import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import cache, partial
from itertools import chain, count, islice, takewhile
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..figures import curation_counts, data_url, save
from ..files import InputError, clear_errors, read_json, read_jsonl, read_table, sha256_of, write_json, write_jsonl
from ..samples import Sample, kind_of
from .checks import examine
from .leakage import TextIndex
from .licences import licence_of_mix
from .outputs import line_writer, split_writer, write_pages
from .pictures import Looking
from .processes import FEW, do, start_processes
from .rows import BENCHMARK, Row
from .sift import Sifted, load_table, sift
from .sources import ABOUT, fingerprint, licence_of, parse_spec, read_source, short_name
from .splits import SPLITS

SHARD = 1_000  # rows that a kill can lose


def curate(
    sources: str | Sequence[str],
    out: Path,
    *,
    sizes: dict[str, int],
    seed: int,
    image_size: int | None,
    benchmarks: Sequence[str] = (),
    limit: int | None = None,
    allow_burned_in: bool = False,
    allow_mixed_licences: bool = False,
) -> dict[str, Any]:
    """Read, check and write one or several sources; returns what `curation.json` holds.

    Writes into `out`: `samples_SPLIT.jsonl` and `SPLIT.parquet` for train, test and probe, `rejected.jsonl`,
    `clusters.jsonl` (who is a copy of whom), `leaks.jsonl`, `README.md` (the card), `curation.html` and, last,
    `curation.json`. The same settings on the same sources give the same bytes, killed in between or not. A folder
    already curated with these settings is left as it is; one curated with others is refused.

    Of rows that copy each other the first stays: test before probe before train, then in the order read. A row of train
    that belongs together with a measured one (by group, picture or wording) is rejected.

    Args:
        sources: see `sources.read_source`.
        out: the folder to write into; made if absent.
        sizes: at most so many samples a split (`train`, `test`, `probe`); a split that is absent gets none.
        seed: chooses which samples, when there are more than asked for, and what is kept from training.
        image_size: pictures become `image_size` x `image_size` pixels (PNG); None leaves originals in place.
        benchmarks: sources that train and probe must not hold a question or picture of.
        limit: read at most so many rows of each source.
        allow_burned_in: take DICOM files that say that text is burned into their pixels.
        allow_mixed_licences: mix sources although their licences do not allow it.

    Raises:
        InputError: a source cannot be read, licences may not be mixed, a split that was asked for has no usable sample,
            or `out` holds the outputs of other settings.

    >>> import tempfile
    >>> mine, out = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
    >>> asked = {"ulnar nerve": "Which nerve is cut?", "tibial nerve": "WHICH NERVE IS CUT!", "aortic valve": "Which valve?"}
    >>> write_jsonl(mine / "samples.jsonl", ({"id": answer, "question": asked[answer], "reference": answer} for answer in asked))
    >>> found = curate(f"folder:{mine}", out, sizes={"train": 9}, seed=0, image_size=None)
    >>> found["counts"]["kept"], found["reasons"]  # nobody knows which of the two is right: both go
    (1, {'the same is asked of the same picture elsewhere, with another answer': 2})
    """
    out = Path(out).resolve()
    specs = [sources] if isinstance(sources, str) else list(sources)
    if unknown := set(sizes) - set(SPLITS) or any(size < 0 for size in sizes.values()):
        raise InputError(f"sizes must give numbers of samples for {', '.join(SPLITS)}, not {sizes} ({unknown})")
    for spec in (*specs, *benchmarks):
        if out.is_relative_to(parse_spec(spec)[1]):
            raise InputError(f"{out} lies inside the source {spec}; choose a folder outside it")
    licences = {spec: licence_of(spec) for spec in specs}
    licence = licence_of_mix([licences[spec] for spec in specs], allow_mixed_licences)
    settings: dict[str, Any] = {"sources": {spec: fingerprint(spec) for spec in specs}}
    settings |= {"benchmarks": {spec: fingerprint(spec) for spec in benchmarks}, "sizes": dict.fromkeys(SPLITS, 0) | sizes}
    settings |= {"seed": seed, "image_size": image_size, "limit": limit, "allow_burned_in": allow_burned_in}
    if report := _finished(out, settings):
        return report
    work = out / ".work"
    if not (work / "settings.json").exists() or read_json(work / "settings.json") != settings:
        shutil.rmtree(work, ignore_errors=True)
    write_json(work / "settings.json", settings)

    def rows_of(spec: str) -> Iterator[Row]:
        return islice(read_source(spec, sizes=sizes, seed=seed, folder=out / "images"), limit)

    # Of a question about a picture the picture is what must not leak: its words may be anybody's.
    theirs = (row for spec in benchmarks for row in rows_of(spec) if not row.pictures and row.fields.get("question"))
    index = TextIndex((row.id, str(row.fields["question"]), row.fields.get("options") or []) for row in theirs)
    numbered = [*enumerate(specs), *((BENCHMARK, spec) for spec in benchmarks)]
    every = chain.from_iterable(((number, spec, row) for row in rows_of(spec)) for number, spec in numbered)
    look = partial(examine, index=index, how=Looking(out / "images", image_size, allow_burned_in))
    shards = list(takewhile(Path.exists, (work / f"{n:06d}.jsonl" for n in count())))
    waiting = islice(every, len(shards) * SHARD, None)
    with tqdm(desc="rows", unit=" rows", initial=len(shards) * SHARD, disable=None) as bar, ExitStack() as stack:
        pool = cache(lambda: stack.enter_context(start_processes(look)))  # started when there are many rows
        while chunk := list(islice(waiting, SHARD)):
            shard = work / f"{len(shards):06d}.jsonl"
            write_jsonl(shard, pool().map(do, chunk, chunksize=50) if len(shards) * SHARD >= FEW else map(look, chunk))
            shards.append(shard)
            bar.update(len(chunk))

    sifted = sift(load_table(_all_rows(shards)), sizes, seed)
    for split in SPLITS:
        if sizes.get(split) and not sifted.kept[split]:
            reasons = chain((row["reason"] for row in _all_rows(shards) if row["reason"]), sifted.reasons.values())
            raise InputError(f"{', '.join(specs)}: no usable sample for {split}; {next(reasons, 'the source has none')}")
    report = _write_samples(out, shards, sifted)
    report |= {"settings": settings, "licence": licence}
    report["labels"] = "; ".join(ABOUT[parse_spec(spec)[0]]["labels"] for spec in specs)
    report["sources"] = {short_name(spec): licences[spec] for spec in specs}
    write_pages(out, report, data_url(save(curation_counts(report), out / "curation.png")))
    written = sorted(file.name for file in out.iterdir() if file.is_file() and not file.name.startswith("."))
    report["sha256"] = {file: sha256_of(out / file) for file in written if file != "curation.json"}
    write_json(out / "curation.json", report)
    _clear(out)
    return report


def _all_rows(shards: Sequence[Path]) -> Iterator[dict[str, Any]]:
    return chain.from_iterable(map(read_jsonl, shards))


def _write_samples(out: Path, shards: Sequence[Path], sifted: Sifted) -> dict[str, Any]:
    """Write samples, rejected rows, clusters and leaks in the order read; returns the counts."""
    read, reasons = 0, Counter[str]()
    tallies: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: {split: Counter() for split in SPLITS})
    with line_writer(out / "rejected.jsonl") as reject, ExitStack() as stack:
        writers = [stack.enter_context(split_writer(out, split)) for split in SPLITS]
        for number, row in enumerate(_all_rows(shards)):
            if row["number"] == BENCHMARK:
                continue
            read += 1
            if reason := row["reason"] or sifted.reasons.get(number):
                reasons[kind_of_reason(reason)] += 1
                reject({"id": row["id"], "source": row["source"], "split": row["split"], "reason": reason})
            elif sifted.split[number] >= 0:
                sample, split = Sample.model_validate(row["sample"]), sifted.split[number]
                writers[split](sample)
                for name, value in _described(sample).items():
                    tallies[name][SPLITS[split]][value] += 1
    write_jsonl(out / "clusters.jsonl", sifted.clusters)
    write_jsonl(out / "leaks.jsonl", sifted.leaks)
    splits = {split: {"kept": kept, "drawn": tallies["by_kind"][split].total()} for split, kept in sifted.kept.items()}
    counts = {"in": read, "kept": sum(sifted.kept.values()), "rejected": reasons.total(), "splits": splits}
    report: dict[str, Any] = {"counts": counts, "reasons": _ranked(reasons)}
    report |= {"clusters": len(sifted.clusters), "leaks": len(sifted.leaks)}
    for name, tally in tallies.items():
        report[name] = {split: _ranked(counter, 10 if name == "by_reference" else None) for split, counter in tally.items()}
    return report


def _described(sample: Sample) -> dict[str, str]:
    words, language = len(sample.reference.split()), str((sample.model_extra or {}).get("language", "en"))
    length = next(name for name, most in read_table("curation")["lengths"].items() if words <= most)
    about = {"by_modality": sample.modality or "text only", "by_source": sample.source[:60], "by_kind": kind_of(sample)[:60]}
    return about | {"by_length": length, "by_language": language, "by_reference": sample.reference[:60]}


def _ranked(counts: Counter[str], top: int | None = None) -> dict[str, int]:
    """The commonest first, ties in alphabetical order."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:top])


def kind_of_reason(reason: str) -> str:
    """A reason without the names and numbers in it, to count by.

    >>> kind_of_reason("cannot read image /data/a.png: truncated")
    'cannot read …'
    """
    short = re.sub(r"(?: of| to| image)? (?:\S*[\d/]\S*|'[^']*')", " …", reason.partition(":")[0])[:80]
    return short.encode("utf-8", "replace").decode()


def _finished(out: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """The report of a finished curation with these settings, or None if there is none or one of its files has changed or gone.

    Raises:
        InputError: the folder holds the outputs of other settings.
    """
    if not (out / "curation.json").exists():
        return None
    report = read_json(out / "curation.json")
    found = report.get("settings", {}) if isinstance(report, dict) else {}
    if differing := [name for name, value in settings.items() if found.get(name) != value]:
        raise InputError(f"{out} was curated with other {', '.join(differing)}; choose another folder or delete it")
    if any(not (out / file).exists() or sha256_of(out / file) != digest for file, digest in report["sha256"].items()):
        return None
    _clear(out)
    return dict(report)


def _clear(out: Path) -> None:
    """Remove what a finished curation no longer needs, and what killed ones left."""
    with clear_errors(out):
        shutil.rmtree(out / ".work", ignore_errors=True)
        for part in out.rglob(".*.part"):
            part.unlink(missing_ok=True)
