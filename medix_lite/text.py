"""Reading short answers: normal form, negation, sides, quantities. For the verdict tiers and the semantic vetoes."""

import re
import unicodedata
from decimal import Decimal
from typing import NamedTuple

from .files import read_table
from .samples import NUMBER_WORDS

LENGTH, MASS = "length", "mass"


class Unit(NamedTuple):
    """A unit with its dimension and its size in that dimension's base unit (mm, mg).

    >>> UNITS["cm"]
    Unit(dimension='length', size=Decimal('10'))
    """

    dimension: str
    size: Decimal


_WORDS = read_table("statements")
UNITS = {word: Unit(kind, Decimal(n)) for kind, sizes in _WORDS["units"].items() for n in sizes for word in sizes[n].split()}

_NUMBER = r"[-+]?(?:(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)"
_WORD_NUMBER = rf"{_NUMBER}|\b(?:{'|'.join(NUMBER_WORDS)})\b"
_UNIT = r"[a-zμ°%][a-zμ°%/]*"
_ABOUT = r"(?:(?:about|approximately|around|roughly|exactly|~) ?)?"
_MENTION = re.compile(rf"(?P<number>{_WORD_NUMBER})[ -]?(?P<unit>{_UNIT})?")
_QUANTITY = re.compile(rf"{_ABOUT}{_MENTION.pattern}(?: (?:in (?:size|diameter|length|width)|wide|long))?")
_NEGATION = re.compile(rf"\b(?:{'|'.join(_WORDS['negation'])})\b|n't\b")
_UNREMARKABLE = re.compile(r"\b(?P<denied>(?:not|isn't)(?: an?| quite)? )?(?:normal|unremarkable|healthy|clear)\b")
_LEAD = re.compile("|".join(_WORDS["lead"]))
TAIL = re.compile(r" (?:is|are) (?:present|seen|visible)$")
_SIDE = re.compile(r"\b(left|right|bilateral(?:ly)?|both)\b")
_SIDE_PHRASE = re.compile(rf"(?:\b(?:on|in|at) )?(?:\bthe )?{_SIDE.pattern}(?:[- ]sided?)?")


class Quantity(NamedTuple):
    """A number with its unit.

    Attributes:
        value: in the base unit of its dimension (mm, mg), or as printed.
        dimension: "length", "mass", another unit's own word, or "" where no unit is printed.
        step: the weight of the last printed digit, in the same unit: 5.0 cm has step 1 mm.

    >>> read_quantity("5.0 cm")
    Quantity(value=Decimal('50.0'), dimension='length', step=Decimal('1.0'))
    """

    value: Decimal
    dimension: str
    step: Decimal


def _fold_character(character: str) -> str:
    # Plain NFKC would read 10⁵ as 105 and 5½ as 51/2.
    kind = unicodedata.decomposition(character).partition(" ")[0]
    folded = unicodedata.normalize("NFKC", character)
    return {"<super>": f"^{folded}", "<fraction>": f" {folded}"}.get(kind, folded)


def normalise(text: str) -> str:
    """The form in which answers are compared: Unicode-folded, casefolded, one line, no closing full stop, no quotes.

    Only what carries no meaning goes: ".5", "1:1000", "T4:N1", "Rh-" and "B" keep all their characters.

    >>> normalise('  **Pleural   Effusion.** '), normalise(".5"), normalise("T4:N1")
    ('pleural effusion', '.5', 't4:n1')
    """
    folded = text if text.isascii() else unicodedata.normalize("NFC", "".join(map(_fold_character, text)))
    kinds = zip(folded, map(unicodedata.category, folded), strict=True)
    kept = ("-" if kind == "Pd" or character == "−" else character for character, kind in kinds if kind != "Cf")
    flat = " ".join("".join(kept).replace("’", "'").replace("≠", "not ").replace("∶", ":").replace("¬", "not ").casefold().split())
    quotes = "*`\"'“”«»"
    return flat.strip(quotes).rstrip(".!;, ").strip(quotes).strip()


def is_negated(text: str) -> bool:
    """Whether normalised text denies something or calls it normal ("no effusion", "normal"; not "not normal").

    >>> [is_negated(text) for text in ("no effusion", "normal", "not normal", "effusion")]
    [True, True, False, False]
    """
    text = _UNREMARKABLE.sub(lambda found: "abnormal" if found["denied"] else "no abnormality", text)
    return bool(_NEGATION.search(text))


def sides(text: str) -> frozenset[str]:
    """Sides that normalised text names; "both" and "bilateral" name two.

    >>> sorted(sides("bilateral effusion")), sorted(sides("effusion on the left"))
    (['left', 'right'], ['left'])
    """
    found = frozenset(_SIDE.findall(text))
    return frozenset({"left", "right"}) if found - {"left", "right"} else found


def find_unit(word: str) -> Unit | None:
    """The unit of length or mass that a normalised word names, or None.

    >>> find_unit("millimetres"), find_unit("cells")
    (Unit(dimension='length', size=Decimal('1')), None)
    """
    return UNITS.get(word) or UNITS.get(word.removesuffix("s"))


def _quantity(number: str, unit: str | None) -> Quantity:
    digits = str(NUMBER_WORDS.index(number)) if number in NUMBER_WORDS else number.replace(",", "")
    decimals = len(digits.partition(".")[2])
    known = find_unit(unit or "") or Unit((unit or "").removesuffix("s"), Decimal(1))
    return Quantity(Decimal(digits) * known.size, known.dimension, Decimal(1).scaleb(-decimals) * known.size)


def read_quantity(text: str) -> Quantity | None:
    """The quantity that is the whole of a normalised text, or None: "about 5 mm", "three", ".5", but not "5-10 mm".

    >>> read_quantity("about 5 mm") == read_quantity("5 millimetres"), read_quantity("5-10 mm")
    (True, None)
    """
    found = _QUANTITY.fullmatch(text)
    return _quantity(found["number"], found["unit"]) if found else None


def quantities(text: str) -> frozenset[tuple[Decimal, str]]:
    """Every number in a normalised text as (value in base unit, dimension), "" where no known unit follows.

    >>> sorted(quantities("three cysts, the largest of 2 cm"))
    [(Decimal('3'), ''), (Decimal('20'), 'length')]
    """
    found = (_quantity(match["number"], match["unit"]) for match in _MENTION.finditer(text))
    return frozenset((q.value, q.dimension if q.dimension in (LENGTH, MASS) else "") for q in found)


def each_quantity(text: str) -> list[str]:
    """Every number in a normalised text with the word after it; neither the pronoun "one" nor a decade ("1990s").

    >>> each_quantity("the one of 2 cm, seen in the 1990s")
    ['2 cm']
    """
    return [found[0] for found in _MENTION.finditer(text) if found["number"] != "one" and found["unit"] != "s"]


def plain_units(text: str) -> str:
    """A normalised text with every length in mm and every mass in mg, in figures.

    >>> plain_units("a 1.2cm nodule, three cysts of 5 millimetres")
    'a 12 mm nodule, 3 cysts of 5 mm'
    """

    def plain(found: re.Match[str]) -> str:
        quantity = _quantity(found["number"], found["unit"])
        unit = {LENGTH: " mm", MASS: " mg"}.get(quantity.dimension, found[0][len(found["number"]) :])
        return f"{quantity.value.normalize():f}{unit}"

    return _MENTION.sub(plain, text)


def strip_lead(text: str) -> str:
    """Normalised text without "the answer is", "option", "there is" in front.

    >>> strip_lead("the answer is there is effusion")
    'effusion'
    """
    while found := _LEAD.match(text):
        text = text[found.end() :]
    return text


def core(text: str) -> str:
    """A text without what the vetoes compare (sides, numbers) and without "this shows"; all in plain units if nothing else is left.

    >>> core("This shows right-sided effusion, 2 cm."), core("on the right, 2 cm")
    ('effusion', 'right, 20 mm')
    """
    plain = TAIL.sub("", strip_lead(normalise(text)))
    rest = " ".join(_SIDE_PHRASE.sub(" ", _MENTION.sub(" ", plain)).split()).strip(" ,;.")
    return rest or _SIDE_PHRASE.sub(r"\1", plain_units(plain))
