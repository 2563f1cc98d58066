"""A blind preference study. In: two responses files on the same questions. Out: pairs that hide who wrote which; who is preferred.

A study is a folder: `pairs.jsonl`, which raters see (`id, question, reference, images, left, right`), `key.json`, which they
should not (`models`, which of the two wrote the left side of each pair, and its picture or patient), and `ratings_RATER.jsonl`
of each rater (`id, choice, reason`; the last one of a pair counts).
"""

import re
from html import escape
from itertools import combinations
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from ..files import InputError, append_jsonl, read_json, read_jsonl, refuse_existing, write_json, write_jsonl
from ..responses import format_question
from ..samples import group_of
from ..statistics import bootstrap, cohens_kappa, paired_difference
from .files import join_responses

CHOICES = ("left", "tie", "right")


def make_study(out: Path, a: Path, b: Path, samples: Path | None = None, n: int = 50, seed: int = 0) -> int:
    """Draw up to `n` pairs of responses to the same question, in random order; each file is left in half of them, give or take one.

    Args:
        out: the folder to make.
        a, b: responses files; `samples` as for `join_responses`.

    Returns:
        how many pairs there are.

    Raises:
        InputError: `out` holds a study, the files' names will not do, or no question is answered in both.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> rows = [{"id": str(n), "question": "Seen?", "reference": "flu", "response": "flu"} for n in range(4)]
    >>> for name in ("old", "new"):
    ...     write_jsonl(folder / f"{name}.jsonl", [row | {"response": f"{name} answer"} for row in rows])
    >>> make_study(folder / "study", folder / "old.jsonl", folder / "new.jsonl")
    4
    >>> sorted(pair["left"] for pair in read_jsonl(folder / "study" / "pairs.jsonl"))  # each model is on the left in half of them
    ['new answer', 'new answer', 'old answer', 'old answer']
    """
    refuse_existing(out / "pairs.jsonl")
    if len({a.stem, b.stem, "tie"}) < 3:
        raise InputError(f"{a} and {b} have the same name, or one is called tie; a study calls its models so, rename one")
    found = []
    for path in (a, b):
        joined = join_responses(path, samples)
        answered = zip(joined.keys, joined.samples, joined.rows, joined.errors, strict=True)
        found.append({key: (sample, row["response"]) for key, sample, row, error in answered if not error})
    shared = [key for key in found[0] if key in found[1] and found[0][key][0].question == found[1][key][0].question]
    if not shared:
        raise InputError(f"{a} and {b} answer no question in common (id and sample_index)")
    rng = np.random.default_rng(seed)
    drawn = [shared[place] for place in rng.permutation(len(shared))[:n]]
    left = rng.permutation(np.arange(len(drawn)) % 2).tolist()
    pairs, key_of_left, groups = [], {}, {}
    for key, side in zip(drawn, left, strict=True):
        name, sample = f"{key[0]}#{key[1]}", found[0][key][0]
        key_of_left[name], groups[name] = side, group_of(sample)
        shown: dict[str, Any] = {"question": format_question(sample), "reference": " | ".join(sample.accepted())}
        shown["images"] = [str((a.parent / image).resolve()) for image in sample.images]
        pairs.append({"id": name} | shown | {"left": found[side][key][1], "right": found[1 - side][key][1]})
    write_json(out / "key.json", {"models": [a.stem, b.stem], "left": key_of_left, "group": groups})
    write_jsonl(out / "pairs.jsonl", pairs)
    return len(pairs)


def ratings_of(study: Path, rater: str) -> dict[str, str]:
    """The choice of a rater for each pair that they have rated.

    Raises:
        InputError: the rater's name is no file name, or a row of theirs is no rating.
    """
    if not re.fullmatch(r"[\w-]+", rater):
        raise InputError(f"rater {rater!r}: use letters, digits, - and _ only")
    path = study / f"ratings_{rater}.jsonl"
    rows = read_jsonl(path, torn_last_line=True) if path.exists() else []
    if any(row.get("choice") not in CHOICES or "id" not in row for row in rows):
        raise InputError(f"{path}: each row needs an 'id' and as 'choice' one of {', '.join(CHOICES)}")
    return {row["id"]: row["choice"] for row in rows}


def rate(study: Path, rater: str, pair: str, choice: str, reason: str = "") -> None:
    """Keep a rating at once.

    Raises:
        InputError: there is no such pair or choice.

    >>> import tempfile
    >>> study = Path(tempfile.mkdtemp())
    >>> write_json(study / "key.json", {"left": {"a#0": 1}})
    >>> rate(study, "anna", "a#0", "left")
    >>> rate(study, "anna", "a#0", "tie", "on second thought")
    >>> ratings_of(study, "anna"), len(read_jsonl(study / "ratings_anna.jsonl"))  # the last one counts, none is lost
    ({'a#0': 'tie'}, 2)
    """
    if choice not in CHOICES or pair not in read_json(study / "key.json")["left"]:
        raise InputError(f"{study} has no pair {pair!r}, or {choice!r} is none of {', '.join(CHOICES)}")
    append_jsonl(study / f"ratings_{rater}.jsonl", [{"id": pair, "choice": choice, "reason": reason}])


def summarise(study: Path) -> dict[str, Any]:
    """Who is preferred, over all ratings. Intervals are over questions, not raters; those of a picture or patient go together.

    Returns:
        `preferred`: the share of ratings for each model and for a tie; `ahead`: the first model's share less the second's; `left`:
        the share of the left side among the ratings that are no tie (0.5 where nobody prefers a side); each with its interval.
        `kappa`: Cohen's, of left, tie and right, the mean over pairs of raters (None where no two have rated the same, or all
        say the same); `raters`: how many pairs each has rated.

    Raises:
        InputError: `study` is no study, nobody has rated yet, or a rating is of another study.

    >>> import tempfile
    >>> study = Path(tempfile.mkdtemp())
    >>> write_json(study / "key.json", {"models": ["old", "new"], "left": {"a": 0, "b": 1}, "group": {"a": "p1", "b": "p2"}})
    >>> for pair in ("a", "b"):
    ...     rate(study, "anna", pair, "left")
    >>> found = summarise(study)
    >>> found["ahead"]["value"], found["left"]["value"]  # who always takes the left side prefers no model, and it shows
    (0.0, 1.0)
    """
    key = read_json(study / "key.json")
    names = [path.stem.removeprefix("ratings_") for path in sorted(study.glob("ratings_*.jsonl"))]
    raters = {rater: ratings_of(study, rater) for rater in names}
    rows = [(pair, choice, key["left"].get(pair)) for rated in raters.values() for pair, choice in rated.items()]
    if not rows or any(left is None for _, _, left in rows):
        raise InputError(f"{study}: {'a rating is of a pair that is not in key.json' if rows else 'nobody has rated yet'}")
    groups = [key["group"][pair] for pair, _, _ in rows]
    won = [None if choice == "tie" else left if choice == "left" else 1 - left for _, choice, left in rows]
    both = ([[rated[pair] for pair in a if pair in b] for rated in (a, b)] for a, b in combinations(raters.values(), 2))
    kappas = [kappa for chosen in both if (kappa := cohens_kappa(*chosen)) is not None]
    first, second = key["models"]
    shares = {name: [winner == which for winner in won] for name, which in zip((first, second, "tie"), (0, 1, None), strict=True)}
    return {
        "preferred": {name: bootstrap(values, groups) for name, values in shares.items()},
        "ahead": paired_difference(shares[first], shares[second], groups),
        "left": bootstrap([None if choice == "tie" else choice == "left" for _, choice, _ in rows], groups),
        "kappa": round(float(np.mean(kappas)), 4) if kappas else None,
        "raters": {rater: len(rated) for rater, rated in raters.items()},
    }


def preference_widget(study: Path, rater: str) -> Any:
    """Buttons to rate a study's pairs in a notebook, one after the other; a rating is kept at once, and a reload goes on.

    A click within half a second of the last one is the rest of a double-click, on a pair that nobody has read: it rates nothing.

    >>> import tempfile
    >>> study, pair = Path(tempfile.mkdtemp()), {"id": "a", "question": "Seen?", "reference": "flu", "left": "flu", "right": "cold"}
    >>> write_jsonl(study / "pairs.jsonl", [pair | {"images": []}])
    >>> write_json(study / "key.json", {"left": {"a": 1}})
    >>> buttons = preference_widget(study, "anna").children[-1].children
    >>> buttons[0].click()  # kept at once: nothing to save, nothing to lose
    >>> ratings_of(study, "anna"), buttons[0].disabled
    ({'a': 'left'}, True)
    """
    import ipywidgets

    pairs = read_jsonl(study / "pairs.jsonl")
    layout = ipywidgets.Layout(width="50%", border="1px solid", padding="6px")
    head, left, right = ipywidgets.HTML(), ipywidgets.HTML(layout=layout), ipywidgets.HTML(layout=layout)
    pictures, reason = ipywidgets.HBox(), ipywidgets.Text(placeholder="why? (may stay empty)")
    buttons = [ipywidgets.Button(description=text) for text in ("left is better", "no difference", "right is better")]
    shown: dict[str, Any] = {}
    clicked = 0.0  # s

    def show() -> None:
        nonlocal shown
        rated = ratings_of(study, rater)
        done: dict[str, Any] = {"question": "Thank you.", "reference": "", "images": [], "left": "", "right": ""}
        shown = next((pair for pair in pairs if pair["id"] not in rated), done)
        text = f"{len(rated)} of {len(pairs)} rated\n\n{shown['question']}\n\nReference: {shown['reference']}"
        for widget, content in ((head, text), (left, shown["left"]), (right, shown["right"])):
            widget.value = f"<div style='white-space: pre-wrap; line-height: 1.4'>{escape(content)}</div>"
        for button in buttons:
            button.disabled = shown is done
        pictures.children = [ipywidgets.Image(value=Path(path).read_bytes(), width=256) for path in shown["images"]]
        reason.value = ""

    def choose(button: Any) -> None:
        nonlocal clicked
        if monotonic() - clicked > 0.5:
            rate(study, rater, shown["id"], CHOICES[buttons.index(button)], reason.value)
            show()
        clicked = monotonic()

    for button in buttons:
        button.on_click(choose)
    show()
    return ipywidgets.VBox([head, pictures, ipywidgets.HBox([left, right]), reason, ipywidgets.HBox(buttons)])
