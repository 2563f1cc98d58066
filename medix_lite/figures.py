"""Figures. In: what a run measured. Out: a matplotlib figure with one message, readable in grey."""

import base64
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from .evaluation.statistics import METRICS, PROBED, points
from .files import clear_errors, read_table
from .responses import parse_response
from .rewards.composite import Reward
from .samples import Sample

DARK, LIGHT, MID = "#1f3a5f", "#e07b39", "#7a8ca3"
STYLES = ((LIGHT, "s"), (MID, "^"), (DARK, "o"))
EMPTY: dict[str, Any] = {"frame_on": False, "xticks": [], "yticks": []}
SIGNALS = ("accuracy", "semantic", "format", "modality")
NAMES = {"true_accuracy": "true accuracy\n(oracle)", "judged_accuracy": "judged\naccuracy", "pass_at_8": "pass@8\n(sampled)"}
PANELS = {"by_modality": "modality", "by_kind": "kind of question", "by_source": "source", "by_length": "length of the reference"}


def save(figure: Figure, path: Path) -> Path:
    """Lay a figure out, write it as PNG, without a date inside, and close it."""
    with clear_errors(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        figure.tight_layout()
        figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
    return path


def data_url(path: Path) -> str:
    """A PNG file as a URL that holds it, for a page that opens without a network."""
    return "data:image/png;base64," + base64.b64encode(Path(path).read_bytes()).decode()


def curation_counts(report: dict[str, Any]) -> Figure:
    """Shares of each split by modality, kind of question, source and length of the reference, from a curation report."""
    splits = [split for split, counts in report["counts"]["splits"].items() if counts["drawn"]]
    tables = {name: report.get(name, {}) for name in PANELS}
    values = {name: list(dict.fromkeys(v for split in splits for v in tables[name][split]))[:18] for name in PANELS}
    heights = [max(map(len, (values[a], values[b]))) + 2 for a, b in (("by_modality", "by_kind"), ("by_source", "by_length"))]
    figure, axes = plt.subplots(2, 2, figsize=(11, 0.32 * sum(heights) + 1), height_ratios=heights)
    for axis, (name, title) in zip(axes.flat, PANELS.items(), strict=True):
        for offset, (split, colour, hatch) in enumerate(zip(splits, (DARK, LIGHT, MID), ("", "//", ".."), strict=False)):
            n = sum(tables[name][split].values())
            shares = [tables[name][split].get(value, 0) / n for value in values[name]]
            places = np.arange(len(values[name])) + (offset - (len(splits) - 1) / 2) * 0.27
            axis.barh(places, shares, 0.27, color=colour, hatch=hatch, edgecolor="white", label=f"{split} (n = {n})")
        axis.set_yticks(range(len(values[name])), values[name], fontsize=8, parse_math=False)
        axis.invert_yaxis()
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("share of the split", fontsize=8)
    labelled = axes[0, 0].get_legend_handles_labels()
    figure.legend(*labelled, fontsize=8, frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def gallery(samples: Sequence[Sample], columns: int = 6) -> Figure:
    """Pictures with their question and reference below."""
    rows = -(-len(samples) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(2.1 * columns, 2.9 * rows), squeeze=False, subplot_kw=EMPTY)
    for axis, sample in zip(axes.flat, samples, strict=False):
        with Image.open(sample.images[0]) as picture:
            axis.imshow(picture)
        axis.set_title(sample.modality, fontsize=8)
        question = textwrap.fill(textwrap.shorten(sample.question, 80, placeholder=" …"), 28)
        axis.text(0.5, -0.04, f"{question}\n→ {sample.reference}", transform=axis.transAxes, ha="center", va="top", fontsize=8)
    return figure


def reward_anatomy(texts: Sequence[str], rewards: Sequence[Reward], weights: dict[str, float]) -> Figure:
    """Stacked bars: what each signal adds to the total of each completion."""
    figure, axis = plt.subplots(figsize=(8, 0.75 * len(texts) + 1.2))
    left = np.zeros(len(texts))
    for signal, colour, hatch in zip(SIGNALS, (DARK, LIGHT, MID, "#d8dee6"), ("", "//", "..", "xx"), strict=True):
        values = np.array([(reward.signals.get(signal) or 0.0) * weights[signal] for reward in rewards])
        axis.barh(range(len(texts)), values, left=left, color=colour, hatch=hatch, edgecolor="white", label=signal)
        left += values
    for row, reward in enumerate(rewards):
        total = "null" if reward.total is None else f"{reward.total:.3f}"
        axis.text(left[row] + 0.01, row, total, va="center", fontsize=9)
    axis.set_yticks(range(len(texts)), [text if len(text) < 62 else text[:60] + "…" for text in texts], fontsize=8)
    axis.invert_yaxis()
    axis.set(xlim=(0, 1.1), xlabel="reward (0 to 1)")
    axis.legend(ncols=4, fontsize=8, loc="lower center", bbox_to_anchor=(0.4, 1.0), frameon=False)
    return figure


def training_curves(rows: Sequence[dict[str, Any]], probe_n: int, max_tokens: int, smooth: int = 10) -> Figure:
    """Six panels over training steps: reward, signals, accuracy on the probe (`probe_n` questions), entropy, length, gradient."""
    figure, axes = plt.subplots(2, 3, figsize=(12, 6), sharex=True)
    for axis, panel in zip(axes.flat, read_table("figures")["training"], strict=True):
        for key, style in panel["lines"].items():
            x, y = points(rows, "step", key).T
            if len(x):
                window = min(panel.get("window", smooth), len(y))
                axis.plot(x[window - 1 :], np.convolve(y, np.ones(window) / window, mode="valid"), **style)
        axis.set(title=panel["title"], xlabel=panel.get("xlabel"), ylabel=panel.get("ylabel", "").format(probe_n=probe_n))
        axis.set_ylim(0, max_tokens if "completion_tokens" in panel["lines"] else panel.get("top"))
        axis.grid(alpha=0.3)
        if axis.get_legend_handles_labels()[1]:
            axis.legend(fontsize=8, frameon=False)
    note = f"Lines are moving means of {smooth} steps; the probe has {probe_n} questions."
    figure.text(0.5, -0.02, note, ha="center", fontsize=9)
    return figure


def arm_curves(found: dict[str, Any]) -> Figure:
    """A panel for each arm of `ablation.run_arms`: what its reward pays and what is true, mean and range over the seeds."""
    arms = found["arms"]
    rows = -(-len(arms) // 4)
    figure, axes = plt.subplots(rows, 4, figsize=(12, 2.6 * rows), sharex=True, sharey=True, squeeze=False)
    lines = {"reward": ("reward (paid)", LIGHT, "--"), PROBED: ("true accuracy (probe)", DARK, "-")}
    for axis, (arm, seeds) in zip(axes.flat, arms.items(), strict=False):
        for key, (label, colour, style) in lines.items():
            of_seed = [points(one["curve"], "step", key) for one in seeds]
            steps, values = of_seed[0][:, 0], np.array([one[:, 1] for one in of_seed])
            if key == "reward":  # as often as the probe
                window = max(1, len(steps) // 12)
                values = np.array([np.convolve(some, np.full(window, 1 / window), "valid") for some in values])
                steps = steps[window - 1 :]
            axis.plot(steps, values.mean(0), color=colour, linestyle=style, label=label)
            axis.fill_between(steps, values.min(0), values.max(0), color=colour, alpha=0.2, linewidth=0)
        axis.set(title=arm, ylim=(0, 1.02))
        axis.grid(alpha=0.3)
    for axis in axes.flat[len(arms) :]:
        axis.set_visible(False)
    for axis in axes[-1]:
        axis.set_xlabel("step")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def algorithm_curves(found: dict[str, Any]) -> Figure:
    """True accuracy on the probe over rollouts drawn, a line for each of up to four arms of `run_arms`: mean and range of seeds."""
    styles = (("-", DARK), ("--", LIGHT), (":", MID), ("-.", "black"))
    figure, axis = plt.subplots(figsize=(8, 4))
    for (arm, seeds), (style, colour) in zip(found["arms"].items(), styles, strict=False):
        drawn, true = np.array([points(one["curve"], "rollouts", PROBED) for one in seeds]).transpose(2, 0, 1)
        axis.plot(drawn.mean(0), true.mean(0), style, color=colour, label=arm)
        axis.fill_between(drawn.mean(0), true.min(0), true.max(0), color=colour, alpha=0.12, linewidth=0)
    axis.set(xlabel="rollouts drawn, dropped ones included", ylabel="true accuracy (probe)", ylim=(0, 1.02))
    axis.legend(frameon=False)
    axis.grid(alpha=0.3)
    return figure


def rate_heatmap(table: dict[str, Any]) -> Figure:
    """Gain in true accuracy by learning rate and weight of the KL term, from arms named `RATE, WEIGHT` of `compare_arms`."""
    found = {tuple(arm.split(", ")): row["gain"]["value"] for arm, row in table.items() if arm != "base"}
    rates, weights = (list(dict.fromkeys(names)) for names in zip(*found, strict=True))
    values = np.array([[found[rate, weight] for weight in weights] for rate in rates])
    figure, axis = plt.subplots(figsize=(5.5, 3.6))
    axis.imshow(values, cmap="Greys", vmin=min(0.0, values.min()), vmax=max(0.01, 2 * values.max()), aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        axis.text(column, row, f"{value:+.2f}", ha="center", va="center", weight="bold" if value == values.max() else "normal")
    axis.set_xticks(range(len(weights)), weights)
    axis.set_yticks(range(len(rates)), rates)
    axis.set(xlabel="weight of the KL term", ylabel="learning rate", title="gain in true accuracy")
    return figure


def audit_by_kind(audits: dict[str, dict[str, Any]]) -> Figure:
    """Error rates of judges (from `audit`) by kind of candidate, with 95% intervals: wrong taken for right, right refused."""
    kinds = list(next(iter(audits.values()))["by_kind"])
    figure, axes = plt.subplots(1, 2, figsize=(11, 0.42 * len(kinds) + 1.2), sharey=True)
    panels = {"fpr": "wrong candidates taken for right", "fnr": "right candidates refused (or left open)"}
    for axis, (rate, title) in zip(axes, panels.items(), strict=True):
        for number, (name, found) in enumerate(audits.items()):
            parts = [found["by_kind"][kind][rate] for kind in kinds]
            values, limits = np.array([part["value"] for part in parts]), np.array([part["ci95"] for part in parts])
            places, (colour, marker) = np.arange(len(kinds)) + 0.25 * (number - 1), STYLES[number % 3]
            errors = np.clip(np.abs(limits.T - values), 0, None)
            axis.errorbar(values, places, xerr=errors, label=name, color=colour, fmt=marker, markersize=4, elinewidth=1)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("share, 95% interval", fontsize=8)
        axis.set_xlim(-0.02, 1.02)
        axis.grid(axis="x", alpha=0.3)
    axes[0].set_yticks(range(len(kinds)), kinds, fontsize=8)
    axes[0].invert_yaxis()
    figure.legend(*axes[0].get_legend_handles_labels(), frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def base_against_trained(scores: dict[str, Any]) -> Figure:
    """Paired bars with 95% intervals for every metric of `results.json`."""
    metrics = [metric for metric in METRICS if scores["base"][metric]["value"] is not None]
    figure, axis = plt.subplots(figsize=(1.7 * len(metrics) + 1.5, 3.8))
    for offset, which, colour, hatch in ((-0.2, "base", MID, "//"), (0.2, "trained", DARK, "")):
        values = np.array([scores[which][metric]["value"] for metric in metrics])
        limits = np.array([scores[which][metric]["ci95"] for metric in metrics])
        errors = np.clip(np.abs(limits.T - values), 0, None)
        places = np.arange(len(metrics)) + offset
        axis.bar(places, values, 0.38, yerr=errors, capsize=3, color=colour, hatch=hatch, edgecolor="white", label=which)
        for place, value, high in zip(places, values, limits[:, 1], strict=True):
            axis.text(place, high + 0.015, f"{value:.2f}", ha="center", fontsize=8)
    axis.set_xticks(range(len(metrics)), [NAMES.get(metric, metric) for metric in metrics], fontsize=9)
    axis.set_ylim(0, 1.14)
    axis.set_ylabel(f"share of {scores['base']['n']} questions, 95% intervals", fontsize=8)
    axis.legend(frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, 1.13))
    headline = metrics[0]
    before, after = scores["base"][headline]["value"], scores["trained"][headline]["value"]
    gain, (low, high) = scores["gain"][headline]["value"], scores["gain"][headline]["ci95"]
    name = NAMES.get(headline, headline).splitlines()[0].capitalize()
    found = f"{name} {before:.2f} before RL, {after:.2f} after: paired gain {gain:+.2f}, 95% [{low:+.2f}, {high:+.2f}]"
    figure.text(0.5, -0.06, found, ha="center", fontsize=9)
    return figure


def examples(samples: Sequence[Sample], before: Sequence[str], after: Sequence[str], notes: Sequence[str]) -> Figure:
    """A row for each sample: the picture, and what base and trained policy wrote about it."""
    size = (10.5, 1.75 * len(samples))
    figure, axes = plt.subplots(len(samples), 2, figsize=size, width_ratios=[1, 5], squeeze=False, subplot_kw=EMPTY)
    for (left, right), sample, old, new, note in zip(axes, samples, before, after, notes, strict=True):
        if sample.images:
            with Image.open(sample.images[0]) as picture:
                left.imshow(picture)
        else:
            left.text(0.5, 0.5, "text only", ha="center", va="center", fontsize=9)
        lines = [f"{sample.question[-110:]}   (reference: {sample.reference})"]
        for name, text in (("base", old), ("trained", new)):
            response = parse_response(text, has_image=sample.has_image)
            lines.append(f"{name}: {(response.thinking or '(no reasoning)')[:110]}  →  {(response.answer or '(no answer)')[:60]}")
        right.text(0, 0.95, lines[0], fontsize=9, weight="bold", va="top", transform=right.transAxes)
        right.text(0, 0.62, "\n".join([*lines[1:], note]), fontsize=9, va="top", transform=right.transAxes, linespacing=1.5)
    return figure


def calibration_curves(found: dict[str, dict[str, Any]]) -> Figure:
    """Of each policy's `statistics.calibration`: accuracy by confidence, and the share wrong among the answers it is surest of."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8))
    left.plot([0, 1], [0, 1], color="black", linewidth=0.8)
    for (name, one), (colour, marker) in zip(found.items(), STYLES[1:], strict=False):
        sure, true, n = np.array([(row["confidence"], row["accuracy"], row["n"]) for row in one["bins"]]).T
        left.plot(sure, true, color=colour, label=f"{name}, ECE {one['ece']:.2f}")
        left.scatter(sure, true, s=4 + 200 * n / n.sum(), color=colour, marker=marker)
        right.plot(np.arange(1, len(one["risk"]) + 1) / len(one["risk"]), one["risk"], color=colour, label=name)
    left.set(xlabel="confidence", ylabel="share right", xlim=(0, 1.03), ylim=(0, 1.03))
    right.set(xlabel="share answered, surest first", ylabel="share wrong of these", ylim=(0, None))
    for axis in (left, right):
        axis.legend(frameon=False)
        axis.grid(alpha=0.3)
    return figure


def leaderboard_heatmap(board: dict[str, Any]) -> Figure:
    """Scores of `evaluation.leaderboard.leaderboard`: a row a task, a column a model with its judge; empty where there is none."""
    names, tasks = list(board["columns"]), board["tasks"]
    values = np.array([[board["columns"][name]["scores"].get(task) for name in names] for task in tasks], dtype=float)
    one_judge = [column["judge"] == read_table("leaderboard")["judge"] for column in board["columns"].values()]
    figure, axis = plt.subplots(figsize=(2.5 + 0.75 * len(names), 1.5 + 0.34 * len(tasks)))
    axis.imshow(values, cmap="Greys", vmin=0, vmax=1.3, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            best = one_judge[column] and value == np.nanmax(values[row][one_judge])
            axis.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, weight="bold" if best else "normal")
    axis.set_xticks(range(len(names)), [textwrap.fill(name, 18) for name in names], rotation=60, ha="right", fontsize=8)
    axis.set_yticks(range(len(tasks)), tasks, fontsize=8)
    axis.set_title("share right, or marks over 5; in bold the best that the published judge saw", fontsize=9)
    return figure


def leaderboard_ranking(board: dict[str, Any]) -> Figure:
    """Averages over the published tasks, highest first, of the columns that have them all; the others are named, not ranked."""
    tasks = read_table("leaderboard")["tasks"]
    scores = {name: [column["scores"].get(task) for task in tasks] for name, column in board["columns"].items()}
    averages = {name: float(np.mean(values)) for name, values in scores.items() if None not in values}
    ranked = sorted(averages, key=lambda name: averages[name])
    left = [f"{name} ({sum(v is not None for v in values)} of {len(tasks)})" for name, values in scores.items() if None in values]
    figure, axis = plt.subplots(figsize=(8, 1 + 0.36 * len(ranked)))
    bars = axis.barh(ranked, [averages[name] for name in ranked], color=DARK)
    axis.bar_label(bars, fmt="%.3f", fontsize=8, padding=3)
    below = "\nnot ranked, for want of tasks: " + "; ".join(left) if left else ""
    axis.set(xlim=(0, 1), xlabel=f"average of {len(tasks)} tasks{below}")
    return figure
