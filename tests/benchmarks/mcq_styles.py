"""How well do the tiers read multiple-choice answers? Real rows of MedQA, MedMCQA and MMLU, each answered in many styles.

Every row of the benchmarks' own files becomes a Sample with options and is answered in the styles below, right and wrong. Right by
construction: an answer is right if it picks the key and nothing else. An option that says the same as the key counts as the key.
A verdict is right if it is YES for a right and NO for a wrong answer; UNSCORED is not right.

Run: MEDIX_LITE_REAL_DATA=FOLDER .venv/bin/python tests/benchmarks/mcq_styles.py [EVERY]
With EVERY, only every so-many-th row. Prints one line for each style, the rows whose perfect answer got a NO and examples of what
went wrong; the last line is the share of right verdicts.
"""

import os
import sys
from collections import Counter, defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmark_files import ROWS

from medix_lite.curation.mcq import Choice, read_choices
from medix_lite.judging.judges import judge_answers, make_judge
from medix_lite.judging.templates import BASE
from medix_lite.samples import OPTION_LABELS, Sample
from medix_lite.text import normalise

# {l} and {t} are label and text of the key; {k}, {u} of another option; {q} the question's first words; {all} lists the options.
RIGHT = [
    "{l}", "({l})", "{low}.", "{l})", "**{l}**", "{l}. {t}", "{l}) {t}", "({l}) {t}", "{l}: {t}", "Option {l}", "the answer is {l}",
    "The correct answer is ({l}) {t}.", "Answer: {l}. {t}", "the answer is {l} because {q}", "{l} because it fits best",
    "{t}", "The answer is {t}.", "{t} ({l})", "{low}. {tlow}", "not {k} but {l}", "{l}, not {k}", "{l} is correct",
]  # fmt: skip
WRONG = [
    "{k}", "({k})", "{k}. {u}", "{u}", "the answer is {k}", "The correct answer is ({k}) {u}.", "the answer is {k} because {q}",
    "{l}. {u}", "{k}. {t}", "{u} ({l})", "{l} or {k}", "{k} and {l}", "{t} or {u}", "not {l} but {k}", "{k}, not {l}",
    "all of the above", "{all}", "{texts}",
]  # fmt: skip
PERFECT = ("{l}", "{t}", "{l}. {t}")


def choices(folder, every=1):
    """Every readable question of the files, with its place."""
    for name, count in ROWS.items():
        if "pubmedqa" in name:
            continue
        read = list(read_choices(folder / "mirage" / "rawdata" / name))
        assert len(read) == count, f"{name}: {len(read)} rows, {count} expected"
        yield from ((name, where, choice) for where, choice in read[::every] if isinstance(choice, Choice))


def render(choice):
    """Style, answer and truth of each answer; a style that makes no sense for a row is left out."""
    key, options = choice.answer, choice.options
    same = [i for i, option in enumerate(options) if normalise(option) == normalise(options[key])]
    others = [i for i in range(len(options)) if i not in same]
    if not others:
        return
    other = others[len(choice.question) % len(others)]
    words = {"l": OPTION_LABELS[key], "t": options[key].strip(), "k": OPTION_LABELS[other], "u": options[other].strip()}
    words |= {"low": words["l"].lower(), "tlow": words["t"].lower(), "q": " ".join(choice.question.split()[:12])}
    words["all"] = "\n".join(f"{label}. {text}" for label, text in zip(OPTION_LABELS, options, strict=False))
    words["texts"] = ", ".join(options)
    for truth, styles in (("YES", RIGHT), ("NO", WRONG)):
        for style in styles:
            # Where an option says "All of the above", these words pick that option.
            if style != "all of the above" or not any(normalise(option) in (style, "all") for option in options):
                yield style, style.format(**words), truth


def main(every="1"):
    folder, judge = Path(os.environ["MEDIX_LITE_REAL_DATA"]), make_judge("rules")
    right, total, faults, shared, rows = Counter(), Counter(), defaultdict(list), 0, 0
    zeroed = []
    for name, where, choice in choices(folder, int(every)):
        rows += 1
        shared += len({normalise(option) for option in choice.options}) < len(choice.options)
        sample = Sample(id=where, question=choice.question, reference=choice.options[choice.answer] or "-", options=choice.options)
        answered = list(render(choice))
        verdicts = judge_answers(judge, [sample] * len(answered), [answer for _, answer, _ in answered], BASE)
        for (style, answer, truth), verdict in zip(answered, verdicts, strict=True):
            total[style] += 1
            right[style] += verdict.verdict == truth
            if verdict.verdict != truth:
                faults[style].append(
                    f"{name} {where} {answer!r} of {choice.options}: {verdict.verdict} by {verdict.decided_by}, not {truth}"
                )
            if style in PERFECT and verdict.verdict == "NO":
                zeroed.append(faults[style][-1])
    print(f"{rows} rows, {shared} of them with options that say the same")
    for style in total:
        print(f"{right[style] / total[style]:7.2%} of {total[style]:5}  {style!r}  {faults[style][:2] or ''}")
    print(f"perfect answers that score 0: {len(zeroed)}", *zeroed, sep="\n  ")
    print(f"{right.total() / total.total():.4%}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
