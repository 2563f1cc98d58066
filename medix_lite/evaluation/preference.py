"""A blind preference study. In: two responses files on the same questions. Out: pairs that hide who wrote which; who is preferred.

A study is a folder: `pairs.jsonl`, which raters see (`id, question, reference, images, left, right`), `key.json`, which they
should not (`models`, and which of the two wrote the left side of each pair), and `ratings_RATER.jsonl` of each rater
(`id, choice, reason`; the last one of a pair counts).
"""

import re
from html import escape
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from ..files import InputError, append_jsonl, read_json, read_jsonl, refuse_existing, write_json, write_jsonl
from .files import join_responses
from .statistics import bootstrap

CHOICES = ("left", "tie", "right")


def make_study(out: Path, a: Path, b: Path, samples: Path | None = None, n: int = 50, seed: int = 0) -> int:
    """Draw up to `n` questions that both files answer, in random order; each file is left in half of them, give or take one.

    Args:
        out: the folder to make.
        a, b: responses files; `samples` as for `join_responses`.

    Returns:
        how many pairs there are.

    Raises:
        InputError: `out` exists, or no question is answered in both.
    """
    refuse_existing(out)
    if a.stem == b.stem:
        raise InputError(f"{a} and {b} have the same name, by which a study calls its models; rename one")
    found = []
    for path in (a, b):
        keys, questions, _ = join_responses(path, samples)
        found.append(dict(zip(keys, zip(questions, (row["response"] for row in read_jsonl(path)), strict=True), strict=True)))
    if not (shared := [key for key in found[0] if key in found[1]]):
        raise InputError(f"{a} and {b} answer no question in common (id and sample_index)")
    rng = np.random.default_rng(seed)
    drawn = [shared[place] for place in rng.permutation(len(shared))[:n]]
    left = rng.permutation(np.arange(len(drawn)) % 2).tolist()
    pairs, names = [], [f"{key}#{copy}" for key, copy in drawn]
    for name, key, side in zip(names, drawn, left, strict=True):
        sample = found[0][key][0]
        shown = {"question": sample.question, "reference": sample.reference, "images": sample.images}
        pairs.append({"id": name} | shown | {"left": found[side][key][1], "right": found[1 - side][key][1]})
    write_json(out / "key.json", {"models": [a.stem, b.stem], "left": dict(zip(names, left, strict=True))})
    write_jsonl(out / "pairs.jsonl", pairs)
    return len(pairs)


def ratings_of(study: Path, rater: str) -> dict[str, str]:
    """The choice of a rater for each pair that they have rated."""
    path = study / f"ratings_{rater}.jsonl"
    return {row["id"]: row["choice"] for row in read_jsonl(path, torn_last_line=True)} if path.exists() else {}


def rate(study: Path, rater: str, pair: str, choice: str, reason: str = "") -> None:
    """Keep a rating at once.

    Raises:
        InputError: the rater's name is no file name, or there is no such choice.
    """
    if not re.fullmatch(r"[\w-]+", rater):
        raise InputError(f"rater {rater!r}: use letters, digits, - and _ only")
    if choice not in CHOICES:
        raise InputError(f"unknown choice {choice!r}; use one of {', '.join(CHOICES)}")
    append_jsonl(study / f"ratings_{rater}.jsonl", [{"id": pair, "choice": choice, "reason": reason}])


def summarise(study: Path) -> dict[str, Any]:
    """Who is preferred, over all ratings; those of one pair are resampled together.

    Returns:
        `preferred`: the share of ratings for each model and for a tie, with interval; `ahead`: the first model's share less the
        second's; `left`: the share of the left side among the ratings that are no tie (0.5 where nobody prefers a side); `kappa`:
        Cohen's, the mean over all pairs of raters who rated at least two pairs in common (None where there are none); `raters`:
        how many pairs each has rated.

    Raises:
        InputError: `study` is no study, nobody has rated yet, or a rating is of another study.
    """
    key = read_json(study / "key.json")
    names = [path.stem.removeprefix("ratings_") for path in sorted(study.glob("ratings_*.jsonl"))]
    raters = {rater: ratings_of(study, rater) for rater in names}
    rows = [(pair, choice, key["left"].get(pair)) for rated in raters.values() for pair, choice in rated.items()]
    if not rows or any(left is None for _, _, left in rows):
        raise InputError(f"{study}: {'a rating is of a pair that is not in key.json' if rows else 'nobody has rated yet'}")
    pairs = [pair for pair, _, _ in rows]
    won = [None if choice == "tie" else left if choice == "left" else 1 - left for _, choice, left in rows]
    shares = {name: [winner == which for winner in won] for name, which in zip((*key["models"], "tie"), (0, 1, None), strict=True)}
    return {
        "preferred": {name: bootstrap(values, pairs) for name, values in shares.items()},
        "ahead": bootstrap([0.0 if winner is None else 1.0 - 2 * winner for winner in won], pairs),
        "left": bootstrap([None if choice == "tie" else choice == "left" for _, choice, _ in rows], pairs),
        "kappa": _kappa(list(raters.values())),
        "raters": {rater: len(rated) for rater, rated in raters.items()},
    }


def _kappa(raters: list[dict[str, str]]) -> float | None:
    from sklearn.metrics import cohen_kappa_score

    found = []
    for one, other in combinations(raters, 2):
        if len(both := [pair for pair in one if pair in other]) > 1:
            chosen = [[rated[pair] for pair in both] for rated in (one, other)]
            found.append(1.0 if chosen[0] == chosen[1] else float(cohen_kappa_score(*chosen)))
    return round(float(np.mean(found)), 4) if found else None


def preference_widget(study: Path, rater: str) -> Any:
    """Buttons to rate a study's pairs in a notebook, one after the other; a rating is kept at once, and a reload goes on."""
    import ipywidgets

    pairs = read_jsonl(study / "pairs.jsonl")
    layout = ipywidgets.Layout(width="50%", border="1px solid", padding="6px")
    head, left, right = ipywidgets.HTML(), ipywidgets.HTML(layout=layout), ipywidgets.HTML(layout=layout)
    pictures, reason = ipywidgets.HBox(), ipywidgets.Text(placeholder="why? (may stay empty)")
    buttons = [ipywidgets.Button(description=text) for text in ("left is better", "no difference", "right is better")]

    def todo() -> list[dict[str, Any]]:
        rated = ratings_of(study, rater)
        return [pair for pair in pairs if pair["id"] not in rated]

    def show() -> None:
        left_over = todo()
        done: dict[str, Any] = {"question": "Thank you.", "reference": "none", "images": [], "left": "", "right": ""}
        pair = left_over[0] if left_over else done
        rated = f"<b>{len(pairs) - len(left_over)} of {len(pairs)} rated</b>"
        head.value = f"{rated}<p>{escape(pair['question'])}<br>reference: {escape(pair['reference'])}</p>"
        for button in buttons:
            button.disabled = not left_over
        pictures.children = [ipywidgets.Image(value=Path(path).read_bytes(), width=256) for path in pair["images"]]
        left.value, right.value, reason.value = escape(pair["left"]), escape(pair["right"]), ""

    def choose(button: Any) -> None:
        rate(study, rater, todo()[0]["id"], CHOICES[buttons.index(button)], reason.value)
        show()

    for button in buttons:
        button.on_click(choose)
    show()
    return ipywidgets.VBox([head, pictures, ipywidgets.HBox([left, right]), reason, ipywidgets.HBox(buttons)])
