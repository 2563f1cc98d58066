"""Figures. In: what a run measured. Out: a matplotlib figure with one message, readable in grey."""

import base64
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from .files import read_table, write_aside
from .responses import parse_response
from .samples import Sample
from .statistics import METRICS, PROBED, points

if TYPE_CHECKING:
    from .rewards.composite import Reward

DARK, MID = "#1f3a5f", "#7a8ca3"
EMPTY: dict[str, Any] = {"frame_on": False, "xticks": [], "yticks": []}
NAMES = {"true_accuracy": "true accuracy\n(oracle)", "judged_accuracy": "judged\naccuracy", "pass_at_8": "pass@8\n(sampled)"}
PANELS = {"by_modality": "modality", "by_kind": "kind of question", "by_source": "source", "by_length": "length of the reference"}


def save(figure: Figure, path: Path) -> Path:
    """Lay a figure out, write it as PNG, without a date inside, and close it.

    >>> import tempfile
    >>> figure, _ = plt.subplots()
    >>> path = save(figure, Path(tempfile.mkdtemp()) / "empty.png")
    >>> data_url(path)[:32]
    'data:image/png;base64,iVBORw0KGg'
    """
    with write_aside(path) as aside:
        figure.tight_layout()
        figure.savefig(aside, format="png", dpi=110, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
    return path


def data_url(path: Path) -> str:
    """A PNG file as a URL that holds it, for a page that opens without a network."""
    return "data:image/png;base64," + base64.b64encode(Path(path).read_bytes()).decode()


def curation_counts(report: dict[str, Any]) -> Figure:
    """Shares of each split by modality, kind of question, source and length of the reference, from a curation report.

    >>> import tempfile
    >>> from medix_lite.curation.curate import curate
    >>> report = curate(["phantoms"], Path(tempfile.mkdtemp()), sizes={"train": 8, "probe": 1, "test": 4}, seed=0, image_size=64)
    >>> figure = curation_counts(report)
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['train (n = 8)', 'test (n = 4)', 'probe (n = 1)']
    """
    splits = [split for split, counts in report["counts"]["splits"].items() if counts["drawn"]]
    values = {name: list(dict.fromkeys(v for split in splits for v in report[name][split]))[:18] for name in PANELS}
    heights = [max(map(len, (values[a], values[b]))) + 2 for a, b in (("by_modality", "by_kind"), ("by_source", "by_length"))]
    figure, axes = plt.subplots(2, 2, figsize=(11, 0.32 * sum(heights) + 1), height_ratios=heights)
    for axis, (name, title) in zip(axes.flat, PANELS.items(), strict=True):
        for offset, (split, bars) in enumerate(zip(splits, read_table("figures")["splits"], strict=False)):
            n = sum(report[name][split].values())
            shares = [report[name][split].get(value, 0) / n for value in values[name]]
            places = np.arange(len(values[name])) + (offset - (len(splits) - 1) / 2) * 0.27
            axis.barh(places, shares, 0.27, **bars, edgecolor="white", label=f"{split} (n = {n})")
        axis.set_yticks(range(len(values[name])), values[name], fontsize=8, parse_math=False)
        axis.invert_yaxis()
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("share of the split", fontsize=8)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), fontsize=8, ncols=3, **read_table("figures")["legend"])
    return figure


def gallery(samples: Sequence[Sample], columns: int = 6) -> Figure:
    """Pictures with their question and reference below.

    >>> import tempfile
    >>> Image.new("RGB", (64, 64)).save(path := f"{tempfile.mkdtemp()}/a.png")
    >>> figure = gallery([Sample(id="a", question="What is seen?", reference="flu", modality="X_RAY", images=[path])], columns=1)
    >>> figure.axes[0].get_title(), figure.axes[0].texts[0].get_text()
    ('X_RAY', 'What is seen?\\n→ flu')
    """
    rows = -(-len(samples) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(2.1 * columns, 2.9 * rows), squeeze=False, subplot_kw=EMPTY)
    for axis, sample in zip(axes.flat, samples, strict=False):
        with Image.open(sample.images[0]) as picture:
            axis.imshow(picture)
        axis.set_title(sample.modality, fontsize=8)
        question = textwrap.fill(textwrap.shorten(sample.question, 80, placeholder=" …"), 28)
        axis.text(0.5, -0.04, f"{question}\n→ {sample.reference}", transform=axis.transAxes, ha="center", va="top", fontsize=8)
    return figure


def reward_anatomy(texts: Sequence[str], rewards: "Sequence[Reward]", weights: dict[str, float]) -> Figure:
    """Stacked bars: what each signal adds to the total of each completion.

    >>> from medix_lite.rewards.composite import Reward
    >>> from medix_lite.rewards.presets import PUBLISHED_WEIGHTS
    >>> signals = {"accuracy": 1, "semantic": 1, "format": 0, "modality": None}
    >>> reward = Reward(id="a", signals=signals, total=0.9, preset="robust")
    >>> figure = reward_anatomy(["<answer>flu</answer>"], [reward], PUBLISHED_WEIGHTS)
    >>> figure.axes[0].texts[0].get_text(), [round(float(bar.get_width()), 4) for bar in figure.axes[0].patches]
    ('0.900', [0.5175, 0.3375, 0.0, 0.0])
    """
    figure, axis = plt.subplots(figsize=(8, 0.75 * len(texts) + 1.2))
    left = np.zeros(len(texts))
    for signal, bars in read_table("figures")["signals"].items():
        values = np.array([(reward.signals.get(signal) or 0.0) * weights[signal] for reward in rewards])
        axis.barh(range(len(texts)), values, left=left, **bars, edgecolor="white", label=signal)
        left += values
    for row, reward in enumerate(rewards):
        axis.text(left[row] + 0.01, row, "null" if reward.total is None else f"{reward.total:.3f}", va="center", fontsize=9)
    axis.set_yticks(range(len(texts)), [text if len(text) < 62 else text[:60] + "…" for text in texts], fontsize=8)
    axis.invert_yaxis()
    axis.set(xlim=(0, 1.1), xlabel="reward (0 to 1)")
    axis.legend(ncols=4, fontsize=8, loc="lower center", bbox_to_anchor=(0.4, 1.0), frameon=False)
    return figure


def training_curves(rows: Sequence[dict[str, Any]], probe_n: int, max_tokens: int, smooth: int = 10) -> Figure:
    """Six panels over training steps: reward, signals, accuracy on the probe (`probe_n` questions), entropy, length, gradient.

    >>> rows = [{"step": step, "reward": 0.1 * step, "entropy": 1.0} for step in range(5)]
    >>> figure = training_curves(rows, probe_n=48, max_tokens=40, smooth=2)
    >>> figure.axes[0].get_title(), figure.axes[0].lines[0].get_ydata().round(2).tolist()
    ('total reward', [0.05, 0.15, 0.25, 0.35])
    """
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


def _plot_seeds(axis: Any, seeds: list[dict[str, Any]], x: str, y: str, alpha: float, window: int = 1, **line: Any) -> None:
    """Mean and range over the seeds of an arm: column `y` of their curves, in moving means of `window` points, over column `x`."""
    curves = [points(one["curve"], x, y).T for one in seeds]
    places = np.mean([xs[window - 1 :] for xs, _ in curves], axis=0)
    values = np.array([np.convolve(ys, np.full(window, 1 / window), "valid") for _, ys in curves])
    axis.plot(places, values.mean(0), **line)
    axis.fill_between(places, values.min(0), values.max(0), color=line["color"], alpha=alpha, linewidth=0)


def arm_curves(found: dict[str, Any]) -> Figure:
    """A panel for each arm of `ablation.run_arms`: what its reward pays and what is true, mean and range over the seeds.

    >>> curve = [{"step": step, "reward": 0.1 * step, PROBED: 0.5} for step in range(5)]
    >>> figure = arm_curves({"arms": {"composite": [{"curve": curve}], "random": [{"curve": curve}]}})
    >>> [axis.get_title() for axis in figure.axes]
    ['composite', 'random', '', '']
    """
    arms, lines = found["arms"], read_table("figures")["arms"]
    rows = -(-len(arms) // 4)
    figure, axes = plt.subplots(rows, 4, figsize=(12, 2.6 * rows), sharex=True, sharey=True, squeeze=False)
    for axis, (arm, seeds) in zip(axes.flat, arms.items(), strict=False):
        as_the_probe = max(1, len(points(seeds[0]["curve"], "step", "reward")) // 12)
        _plot_seeds(axis, seeds, "step", "reward", 0.2, as_the_probe, **lines["reward"])
        _plot_seeds(axis, seeds, "step", PROBED, 0.2, **lines[PROBED])
        axis.set(title=arm, ylim=(0, 1.02))
        axis.grid(alpha=0.3)
    plt.setp(axes.flat[len(arms) :], visible=False)
    plt.setp(axes[-1], xlabel="step")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), ncols=2, **read_table("figures")["legend"])
    return figure


def algorithm_curves(found: dict[str, Any]) -> Figure:
    """True accuracy on the probe over rollouts drawn, a line for each of up to four arms of `run_arms`: mean and range of seeds.

    >>> curve = [{"rollouts": 64 * step, PROBED: 0.1 * step} for step in range(5)]
    >>> figure = algorithm_curves({"arms": {"grpo": [{"curve": curve}], "dapo": [{"curve": curve}]}})
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['grpo', 'dapo']
    """
    figure, axis = plt.subplots(figsize=(8, 4))
    for (arm, seeds), line in zip(found["arms"].items(), read_table("figures")["algorithms"], strict=False):
        _plot_seeds(axis, seeds, "rollouts", PROBED, 0.12, label=arm, **line)
    axis.set(xlabel="rollouts drawn, dropped ones included", ylabel="true accuracy (probe)", ylim=(0, 1.02))
    axis.legend(frameon=False)
    axis.grid(alpha=0.3)
    return figure


def _shade(axis: Any, values: Any, best: Any, number: str, top: float, low: float = 0.0, **text: Any) -> None:
    """A grid of numbers on grey from `low` (white) to `top` (black), those of `best` in bold; NaN stays empty. Shapes (m, n)."""
    axis.imshow(values, cmap="Greys", vmin=low, vmax=top, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            weight = "bold" if best[row, column] else "normal"
            axis.text(column, row, format(value, number), ha="center", va="center", weight=weight, **text)


def rate_heatmap(table: dict[str, Any]) -> Figure:
    """Gain in true accuracy by learning rate and weight of the KL term, from arms named `RATE, WEIGHT` of `compare_arms`.

    >>> gains = {"0.001, 0": 0.3, "0.001, 0.1": 0.2, "0.01, 0": 0.1, "0.01, 0.1": 0.0}
    >>> figure = rate_heatmap({arm: {"gain": {"value": gain}} for arm, gain in gains.items()})
    >>> [(text.get_text(), text.get_weight()) for text in figure.axes[0].texts]
    [('+0.30', 'bold'), ('+0.20', 'normal'), ('+0.10', 'normal'), ('+0.00', 'normal')]
    """
    found = {tuple(arm.split(", ")): row["gain"]["value"] for arm, row in table.items() if arm != "base"}
    rates, weights = (list(dict.fromkeys(names)) for names in zip(*found, strict=True))
    values = np.array([[found[rate, weight] for weight in weights] for rate in rates])
    figure, axis = plt.subplots(figsize=(5.5, 3.6))
    _shade(axis, values, values == values.max(), "+.2f", max(0.01, 2 * values.max()), min(0.0, values.min()))
    axis.set_xticks(range(len(weights)), weights)
    axis.set_yticks(range(len(rates)), rates)
    axis.set(xlabel="weight of the KL term", ylabel="learning rate", title="gain in true accuracy")
    return figure


def _with_errors(parts: list[dict[str, Any]]) -> tuple[Any, Any]:
    """Values of `bootstrap`, shape (n,), and how far their intervals reach below and above them, shape (2, n)."""
    values, limits = np.array([part["value"] for part in parts]), np.array([part["ci95"] for part in parts])
    return values, np.clip(np.abs(limits.T - values), 0, None)


def audit_by_kind(audits: dict[str, dict[str, Any]]) -> Figure:
    """Error rates of judges (from `audit`) by kind of candidate, with 95% intervals: wrong taken for right, right refused.

    >>> from medix_lite.judging.audit import Pair, audit, judge_pairs
    >>> from medix_lite.judging.judges import make_judge
    >>> pairs = [Pair(question="Seen?", reference="flu", candidate=text, label=text == "flu") for text in ("flu", "no flu")]
    >>> figure = audit_by_kind({"rules": audit(pairs, judge_pairs(pairs, make_judge("rules")))})
    >>> [axis.get_title() for axis in figure.axes]
    ['wrong candidates taken for right', 'right candidates refused (or left open)']
    """
    kinds = list(next(iter(audits.values()))["by_kind"])
    figure, axes = plt.subplots(1, 2, figsize=(11, 0.42 * len(kinds) + 1.2), sharey=True, subplot_kw={"xlim": (-0.02, 1.02)})
    for axis, (rate, title) in zip(axes, read_table("figures")["errors"].items(), strict=True):
        for number, (name, found) in enumerate(audits.items()):
            values, errors = _with_errors([found["by_kind"][kind][rate] for kind in kinds])
            places, mark = np.arange(len(kinds)) + 0.25 * (number - 1), read_table("figures")["marks"][number % 3]
            axis.errorbar(values, places, xerr=errors, label=name, **mark, linestyle="none", markersize=4, elinewidth=1)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("share, 95% interval", fontsize=8)
        axis.grid(axis="x", alpha=0.3)
    axes[0].set_yticks(range(len(kinds)), kinds, fontsize=8)
    axes[0].invert_yaxis()
    figure.legend(*axes[0].get_legend_handles_labels(), ncols=3, **read_table("figures")["legend"])
    return figure


def base_against_trained(scores: dict[str, Any]) -> Figure:
    """Paired bars with 95% intervals for every metric of `results.json`.

    >>> shares = {"base": 0.5, "trained": 0.7, "gain": 0.2}
    >>> scores = {which: {"value": share, "ci95": [share - 0.1, share + 0.1]} for which, share in shares.items()}
    >>> figure = base_against_trained({which: dict.fromkeys(METRICS, score) | {"n": 9} for which, score in scores.items()})
    >>> print(figure.texts[0].get_text())
    True accuracy 0.50 before RL, 0.70 after: paired gain +0.20, 95% [+0.10, +0.30]
    """
    metrics = [metric for metric in METRICS if scores["base"][metric]["value"] is not None]
    figure, axis = plt.subplots(figsize=(1.7 * len(metrics) + 1.5, 3.8), subplot_kw={"ylim": (0, 1.14)})
    for offset, which, colour, hatch in ((-0.2, "base", MID, "//"), (0.2, "trained", DARK, "")):
        values, errors = _with_errors([scores[which][metric] for metric in metrics])
        places = np.arange(len(metrics)) + offset
        axis.bar(places, values, 0.38, yerr=errors, capsize=3, color=colour, hatch=hatch, edgecolor="white", label=which)
        for place, value, high in zip(places, values, values + errors[1], strict=True):
            axis.text(place, high + 0.015, f"{value:.2f}", ha="center", fontsize=8)
    axis.set_xticks(range(len(metrics)), [NAMES.get(metric, metric) for metric in metrics], fontsize=9)
    axis.set_ylabel(f"share of {scores['base']['n']} questions, 95% intervals", fontsize=8)
    axis.legend(frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, 1.13))
    before, after, gain = (scores[which][metrics[0]]["value"] for which in ("base", "trained", "gain"))
    low, high = scores["gain"][metrics[0]]["ci95"]
    name = NAMES.get(metrics[0], metrics[0]).splitlines()[0].capitalize()
    found = f"{name} {before:.2f} before RL, {after:.2f} after: paired gain {gain:+.2f}, 95% [{low:+.2f}, {high:+.2f}]"
    figure.text(0.5, -0.06, found, ha="center", fontsize=9)
    return figure


def examples(samples: Sequence[Sample], before: Sequence[str], after: Sequence[str], notes: Sequence[str]) -> Figure:
    """A row for each sample: the picture, and what base and trained policy wrote about it.

    >>> asked = Sample(id="a", question="Which organ does glioma affect?", reference="brain")
    >>> figure = examples([asked], ["<answer>an organ</answer>"], ["<answer>brain</answer>"], ["before: wrong, after: right"])
    >>> print(figure.axes[1].texts[1].get_text())
    base: (no reasoning)  →  an organ
    trained: (no reasoning)  →  brain
    before: wrong, after: right
    """
    size = (10.5, 1.75 * len(samples))
    figure, axes = plt.subplots(len(samples), 2, figsize=size, width_ratios=[1, 5], squeeze=False, subplot_kw=EMPTY)
    for (left, right), sample, old, new, note in zip(axes, samples, before, after, notes, strict=True):
        if sample.images:
            with Image.open(sample.images[0]) as picture:
                left.imshow(picture)
        else:
            left.text(0.5, 0.5, "text only", ha="center", va="center", fontsize=9)
        lines = [f"{sample.question[-110:]}   (reference: {sample.reference})"]
        lines += [" | ".join(sample.options or ())] * bool(sample.options)
        for name, text in (("base", old), ("trained", new)):
            response = parse_response(text, has_image=sample.has_image)
            lines.append(f"{name}: {(response.thinking or '(no reasoning)')[:110]}  →  {(response.answer or '(no answer)')[:60]}")
        right.text(0, 0.95, lines[0], fontsize=9, weight="bold", va="top", transform=right.transAxes)
        right.text(0, 0.62, "\n".join([*lines[1:], note]), fontsize=9, va="top", transform=right.transAxes, linespacing=1.5)
    return figure


def calibration_curves(found: dict[str, dict[str, Any]]) -> Figure:
    """Of each policy's `statistics.calibration`: accuracy by confidence, and the share wrong among the answers it is surest of.

    >>> from medix_lite.statistics import calibration
    >>> figure = calibration_curves({"base": calibration(np.array([0.9, 0.9, 0.4]), np.array([1.0, 0.0, 0.0]))})
    >>> figure.axes[0].lines[1].get_label()
    'base, ECE 0.40'
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8))
    left.plot([0, 1], [0, 1], color="black", linewidth=0.8)
    for (name, one), mark in zip(found.items(), read_table("figures")["marks"][1:], strict=False):
        sure, true, n = np.array([(row["confidence"], row["accuracy"], row["n"]) for row in one["bins"]]).T
        left.plot(sure, true, color=mark["color"], label=f"{name}, ECE {one['ece']:.2f}")
        left.scatter(sure, true, s=4 + 200 * n / n.sum(), **mark)
        right.plot(np.arange(1, len(one["risk"]) + 1) / len(one["risk"]), one["risk"], color=mark["color"], label=name)
    left.set(xlabel="confidence", ylabel="share right", xlim=(0, 1.03), ylim=(0, 1.03))
    right.set(xlabel="share answered, surest first", ylabel="share wrong of these", ylim=(0, None))
    for axis in (left, right):
        axis.legend(frameon=False)
        axis.grid(alpha=0.3)
    return figure


def leaderboard_heatmap(board: dict[str, Any]) -> Figure:
    """Scores of `evaluation.leaderboard.leaderboard`: a row a task, a column a model with its judge; empty where there is none.

    >>> from medix_lite.evaluation.leaderboard import leaderboard
    >>> figure = leaderboard_heatmap(leaderboard(Path("nowhere")))  # no scores of one's own: the published ones
    >>> figure.axes[0].get_yticklabels()[0].get_text()
    'MMLU-Clinical'
    """
    names, tasks = list(board["columns"]), board["tasks"]
    values = np.array([[board["columns"][name]["scores"].get(task) for name in names] for task in tasks], dtype=float)
    one_judge = [column["judge"] == read_table("leaderboard")["judge"] for column in board["columns"].values()]
    best = one_judge & (values == np.nanmax(np.where(one_judge, values, -1), axis=1, keepdims=True))
    figure, axis = plt.subplots(figsize=(2.5 + 0.75 * len(names), 1.5 + 0.34 * len(tasks)))
    _shade(axis, values, best, ".2f", 1.3, fontsize=7)
    axis.set_xticks(range(len(names)), [textwrap.fill(name, 18) for name in names], rotation=60, ha="right", fontsize=8)
    axis.set_yticks(range(len(tasks)), tasks, fontsize=8)
    axis.set_title("share right, or marks over 5; in bold the best that the published judge saw", fontsize=9)
    return figure


def leaderboard_ranking(board: dict[str, Any]) -> Figure:
    """Averages over the published tasks, highest first, of the columns that have them all; the others are named, not ranked.

    >>> from medix_lite.evaluation.leaderboard import leaderboard
    >>> figure = leaderboard_ranking(leaderboard(Path("nowhere")))
    >>> figure.axes[0].get_xlabel()
    'average of 17 tasks'
    """
    tasks = read_table("leaderboard")["tasks"]
    scores = {name: [column["scores"].get(task) for task in tasks] for name, column in board["columns"].items()}
    averages = {name: float(np.mean(values)) for name, values in scores.items() if None not in values}
    ranked = sorted(averages, key=lambda name: averages[name])
    left = [f"{name} ({sum(v is not None for v in values)} of {len(tasks)})" for name, values in scores.items() if None in values]
    figure, axis = plt.subplots(figsize=(8, 1 + 0.36 * len(ranked)))
    axis.bar_label(axis.barh(ranked, [averages[name] for name in ranked], color=DARK), fmt="%.3f", fontsize=8, padding=3)
    below = "\nnot ranked, for want of tasks: " + "; ".join(left) if left else ""
    axis.set(xlim=(0, 1), xlabel=f"average of {len(tasks)} tasks{below}")
    return figure
