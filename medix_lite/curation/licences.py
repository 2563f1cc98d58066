"""Licences: those of the sources in; the licence of what is made of them out, or a refusal. Not legal advice."""

from collections.abc import Iterable

from ..files import InputError, read_table

FAMILIES = {family: tuple(beginnings) for family, beginnings in read_table("curation")["licences"].items()}
PERMISSIVE, SHARE_ALIKE, NO_DERIVATIVES = (FAMILIES[name] for name in ("permissive", "share_alike", "no_derivatives"))


def licence_of_mix(licences: Iterable[str], allow: bool = False) -> str:
    """The licence (the Hub's identifier) of a mix: the strictest of them where they may be mixed.

    Args:
        licences: one for each source.
        allow: mix in spite of what they say; the licence is then "other".

    Raises:
        InputError: they may not be mixed: one forbids derivatives or is not known, or two that share alike differ.
            Two sources whose licence is not known may not be mixed either.
    """
    each = [licence.lower() for licence in licences]
    different = sorted(set(each))
    if len(each) == 1 or (len(different) == 1 and any(_is(different[0], family) for family in (PERMISSIVE, SHARE_ALIKE))):
        return different[0]
    strict = [licence for licence in different if _is(licence, SHARE_ALIKE)]
    limited = [licence for licence in different if licence.startswith("cc-by-nc")]
    problem = None
    if forbidding := [licence for licence in different if _is(licence, NO_DERIVATIVES)]:
        problem = f"{forbidding[0]} forbids derivatives"
    elif unknown := [licence for licence in different if not _is(licence, PERMISSIVE + SHARE_ALIKE)]:
        problem = f"nobody here knows what {unknown[0]!r} allows"
    elif len(strict) > 1 or (strict and limited and strict != limited):
        problem = f"{' and '.join(sorted({*strict, *limited}))} each ask for the whole mix"
    if problem and not allow:
        mix = f"{', '.join(different)}; {problem}"
        raise InputError(f"these licences may not be mixed: {mix}; leave one out, or allow it by the flag")
    if problem or len(strict or limited) > 1:
        return "other"
    return (strict or limited or ["other"])[0]


def _is(licence: str, family: tuple[str, ...]) -> bool:
    return licence.startswith(family) and not (family is PERMISSIVE and licence.startswith(SHARE_ALIKE + NO_DERIVATIVES))
