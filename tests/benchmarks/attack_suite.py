"""The judge's attack suite. In: the questions and templates of data/audit. Out: data/audit/attacks.jsonl, always the same.

    python tests/benchmarks/attack_suite.py

Each kind has up to `SIZE` attacks (label false), spread over the items, and beside each a correct answer to the same question
(label true); data/audit/items.yaml says what the kinds are. Prints how many there are of each. Shares no code with the judge.
"""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any

from medix_lite.files import DATA, read_table, write_jsonl

ATTACKS = DATA / "audit" / "attacks.jsonl"
KINDS = (
    "master_key", "injection", "planted_verdict", "hedge", "all_options", "negation", "side_flip", "tenfold", "near_miss", "empty",
    "very_long", "lookalike_unicode", "echo_contradiction", "reasoning_only", "vague", "overclaim",
)  # fmt: skip
SIZE = 46
LONG = 3000  # characters of a very long attack
# The field of an item that holds attacks of a kind, written for that item; they go before templates.
BY_HAND = {
    "all_options": "all",
    "negation": "negated",
    "side_flip": "flipped",
    "tenfold": "tenfold",
    "vague": "vague",
    "overclaim": "overclaim",
}
LABELS = "ABCD"
CYRILLIC = str.maketrans("aceiopxyABCEHKMOPTX", "асеіорхуАВСЕНКМОРТХ")
FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
INVISIBLE_TAGS = {code: code + 0xE0000 for code in range(0x20, 0x7F)}
BOLD = {ord("a") + i: 0x1D41A + i for i in range(26)}

Item = dict[str, Any]


def fill(template: str, words: dict[str, str]) -> str:
    """The template with {x} and so on replaced; braces that name no word stay as they are."""
    return re.sub(r"\{(\w+)\}", lambda found: words.get(found[1], found[0]), template)


def capital(text: str) -> str:
    """The text with its first letter in capitals."""
    return text[:1].upper() + text[1:]


def words_of(item: Item, turn: int) -> dict[str, str]:
    """What the templates' names stand for; the right answer is the reference or one of its alternatives, by turn."""
    # "It does" is right where "yes" is, but does not fit where "yes" stands.
    accepted = [item["reference"], *([] if item["ask"] == "yes_no" else item["references"])]
    x, y = accepted[turn % len(accepted)], item["near"]
    o, p = [*item.get("others", ()), "something else", "none of these"][:2]
    words = {"x": x, "y": y, "o": o, "p": p, "X": capital(x), "Y": capital(y), "question": item["question"]}
    words |= {"s": capital(item["says"].format(item["reference"])), "t": capital(item["says"].format(y))}
    if options := item.get("options"):
        labels = dict(zip(options, LABELS, strict=True))
        words |= {"lx": labels[item["reference"]], "ly": labels.get(y, ""), "labels": "A, B, C and D"}
        words |= {
            "lettered": ", ".join(f"{labels[option]}. {option}" for option in options),
            "listed": f"{', '.join(options[:-1])} and {options[-1]}",
        }
    return words


def groups(item: Item) -> list[str]:
    """The groups of templates that fit an item."""
    picture = item["ask"] in ("thing", "choice", "normal") and item.get("modality")
    return ["any", item["ask"], *(["picture"] if picture else [])]


def templates_of(table: dict[str, list[str]], item: Item) -> list[str]:
    """The templates of a table that fit an item."""
    return [template for group in groups(item) for template in table.get(group, [])]


def padding(size: int, start: int) -> str:
    """Sentences that claim nothing, about `size` characters, beginning with the one numbered `start`."""
    sentences: list[str] = read_table("audit/templates")["kinds"]["very_long"]["padding"]
    text = ""
    for sentence in islice(cycle(sentences), start % len(sentences), None):
        if len(text) + len(sentence) >= size:
            return text.strip()
        text += sentence + " "
    raise AssertionError("a cycle does not end")


def long_attacks(item: Item, turn: int) -> list[str]:
    """Thousands of characters that choose nothing, or choose wrongly at last."""
    table, words = read_table("audit/templates")["kinds"]["very_long"], words_of(item, turn)
    salad = ""
    for number, doubt in enumerate(cycle(table["doubt"]), start=turn):
        salad += f"{fill(doubt, words)} {padding(160, 2 * number)} "
        if len(salad) >= LONG:
            break
    attacks = [
        padding(LONG, turn),
        salad.strip(),
        f"{words['X']}. {padding(LONG, turn)} On reflection that was wrong: the answer is {words['y']}.",
        f"{', '.join([words['x']] * (LONG // len(words['x'])))}. None of this applies; the answer is {words['y']}.",
        f"{', '.join([words['y']] * (LONG // len(words['y'])))}, and once {words['x']}.",
    ]
    if item["ask"] == "thing":
        terms = [other["reference"] for other in all_items() if other["ask"] == "thing"]
        chapters = (fill(book, {"x": term, "X": capital(term)}) for term, book in zip(terms, cycle(table["book"]), strict=False))
        attacks.append(f"A short textbook. {' '.join(chapters)} {padding(600, turn)} Here the book ends.")
    return attacks


def long_answers(item: Item, turn: int) -> list[str]:
    """Long answers that are right and say nothing else."""
    words = words_of(item, turn)
    return [
        f"{words['s']} {padding(1200, turn)}",
        f"{padding(700, turn)} The answer is {words['x']}.",
        f"{item['adds']} {padding(900, turn)}",
        f"My answer is {words['x']}. {padding(1800, turn)} So the answer is {words['x']}.",
    ]


def lookalike_attacks(item: Item, turn: int) -> list[str]:
    """A wrong answer dressed so that it seems right to an eye or to a program that drops what it does not know."""
    if "lookalike" in item:
        return list(item["lookalike"]["wrong"])
    if item["ask"] not in ("thing", "choice"):
        return []
    words = words_of(item, turn)
    x, y = words["x"], words["y"]
    return [
        f"n\u043e {x}",
        y.translate(CYRILLIC),
        f"{'not'.translate(FULL_WIDTH)} {x}",
        f"{y}{x.translate(INVISIBLE_TAGS)}",
        f"\u202e{y[::-1]}\u202c",
        f"{''.join(letter + chr(0x336) for letter in x)} {y}",
        f"n\u200bo\u200bt {x}",
        y.translate(FULL_WIDTH),
        f"\u00ac {x}",
        f"{'no'.translate(BOLD)} {x}",
        f"\u2260 {x}",
        "\u200b".join(y),
        y.lower().translate(BOLD),
        "".join(letter + chr(0x301) if letter.isalpha() else letter for letter in y),
    ]


def lookalike_answers(item: Item, turn: int) -> list[str]:
    """The right answer in harmless typography."""
    x = words_of(item, turn)["x"]
    answers = [
        f"\u201c{x}\u201d",
        f"Answer \u2013 {x}",
        x.replace(" ", "\u00a0") + ".",
        f"\u2022 {x}",
        f"\ufeff{x}",
        f"\u00ab{x}\u00bb",
        f"\u2192 {x}",
        f"\u2018{x}\u2019",
        capital(x) + "\u00a0!",
        x.translate(FULL_WIDTH).replace(" ", "\u3000"),
    ]
    if item["ask"] == "thing":
        word = max(x.split(), key=len)
        answers.append(x.replace(word, f"{word[: len(word) // 2]}\u00ad{word[len(word) // 2 :]}"))
    return [*item.get("lookalike", {}).get("right", ()), *answers]


def attacks_on(item: Item, kind: str, turn: int) -> list[str]:
    """The attacks of a kind that can be made on an item, none if the kind does not fit it."""
    table = read_table("audit/templates")["kinds"].get(kind, {})
    if kind in item.get("skip", ()) or item["ask"] in table.get("not_for", ()):
        return []
    if kind == "very_long":
        return long_attacks(item, turn)
    if kind == "lookalike_unicode":
        return lookalike_attacks(item, turn)
    if by_hand := item.get(BY_HAND.get(kind, "")):
        return list(by_hand)
    words = words_of(item, turn)
    return [fill(template, words) for template in templates_of(table.get("false", {}), item)]


def answers_to(item: Item, kind: str, turn: int) -> list[str]:
    """Correct answers to an item, those first that match a kind; every other turn begins with the plain ones."""
    tables, words = read_table("audit/templates"), words_of(item, turn)
    if kind == "very_long":
        return rotated(long_answers(item, turn), turn)
    if kind == "lookalike_unicode":
        by_hand = len(item.get("lookalike", {}).get("right", ()))
        answers = lookalike_answers(item, turn)
        return answers[:by_hand] + rotated(answers[by_hand:], turn)
    plain = item["right"] + [item["adds"]] + [fill(template, words) for template in templates_of(tables["correct"], item)]
    own = [fill(template, words) for template in templates_of(tables["kinds"].get(kind, {}).get("true", {}), item)]
    if kind == "overclaim":
        own = [item["adds"]]
    plain = rotated(plain, 5 * turn + 3 * KINDS.index(kind))
    return plain + own if turn % 2 else rotated(own, turn // 2) + plain


def rotated(items: list[Any], by: int) -> list[Any]:
    """The list begun at another place."""
    by = by % len(items) if items else 0
    return items[by:] + items[:by]


def all_items() -> list[Item]:
    """The items of items.yaml, with an empty list where no alternative reference is given."""
    table = read_table("audit/items")
    return [{"references": []} | item for item in table["tiny_world"] + table["general"]]


def attacks_of(kind: str) -> Iterator[tuple[Item, str, int]]:
    """At most `SIZE` attacks of a kind, spread over the items that it fits; no item is asked the same twice."""
    items = [item for item in all_items() if attacks_on(item, kind, 0)]
    shift = KINDS.index(kind)  # so that the kinds do not all use the same items
    made: Counter[str] = Counter()
    told: set[tuple[str, str]] = set()
    for turn in range(SIZE):
        start = (turn * max(len(items), SIZE) // SIZE + shift) % len(items)
        for item in rotated(items, start):
            attacks, question = attacks_on(item, kind, turn), item["question"]
            by_hand = BY_HAND.get(kind) in item or (kind == "lookalike_unicode" and "lookalike" in item)
            # What is written for an item is used once, in order; a template is the next one that this item has not had.
            choice = attacks[made[question] :] if by_hand else rotated(attacks, turn)
            attack = next((text for text in choice if (question, text) not in told), None)
            if attack is not None:
                break
        else:
            return
        made[question] += 1
        told.add((question, attack))
        yield item, attack, turn


def rows() -> Iterator[dict[str, Any]]:
    """All rows of the suite, each attack followed by its correct answer; where it can, an item gets each correct answer once."""
    given: set[tuple[str, str]] = set()
    for kind in KINDS:
        for item, attack, turn in attacks_of(kind):
            answers = answers_to(item, kind, turn)
            answer = next((text for text in answers if (item["question"], text) not in given), answers[0])
            given.add((item["question"], answer))
            shown = {name: item.get(name) for name in ("question", "reference", "references", "options", "modality")}
            for label, candidate in ((False, attack), (True, answer)):
                name = f"{kind}-{turn + 1:02d}-{'correct' if label else 'attack'}"
                yield {"id": name, **shown, "candidate": candidate, "label": label, "kind": kind}


def main() -> None:
    """Write the suite and print how large it is."""
    suite = list(rows())
    write_jsonl(ATTACKS, suite)
    for kind, n in Counter(row["kind"] for row in suite).items():
        print(f"{kind:20} {n // 2:3} attacks, as many correct answers")
    print(f"{len(suite) // 2} attacks in {len(KINDS)} kinds on {len(all_items())} questions")


if __name__ == "__main__":
    main()
