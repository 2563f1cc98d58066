"""Licences: those of the sources in; the licence of what is made of them out, or a refusal. Not legal advice."""

from collections.abc import Iterable

from ..files import InputError, read_table


def licence_of_mix(licences: Iterable[str], allow: bool = False) -> str:
    """The licence (the Hub's identifier) of a mix: the strictest of them where they may be mixed, or "other" where none is.

    Args:
        licences: one for each source.
        allow: mix in spite of what they say; the licence is then "other".

    Raises:
        InputError: they may not be mixed: one forbids derivatives or is not known, or two that share alike differ.
            Two sources whose licence is not known may not be mixed either.

    >>> licence_of_mix(["mit", "cc-by-sa-4.0"]), licence_of_mix(["mit", "apache-2.0"])  # neither of these two is the stricter
    ('cc-by-sa-4.0', 'other')
    >>> licence_of_mix(["cc-by-sa-4.0", "cc-by-nc-4.0"])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    medix_lite.files.InputError: ... cc-by-nc-4.0 and cc-by-sa-4.0 each ask for the whole mix; ...
    """
    each = [licence.lower() for licence in licences]
    known = [(start, family) for family, starts in read_table("curation")["licences"].items() for start in starts]
    families = {one: next((family for start, family in known if one.startswith(start)), "unknown") for one in sorted(set(each))}
    if len(each) == 1 or (len(families) == 1 and families[each[0]] in ("permissive", "share_alike")):
        return each[0]
    strict = [licence for licence, family in families.items() if family == "share_alike"]
    limited = [licence for licence in families if licence.startswith("cc-by-nc")]
    problem = None
    if forbidding := [licence for licence, family in families.items() if family == "no_derivatives"]:
        problem = f"{forbidding[0]} forbids derivatives"
    elif unknown := [licence for licence, family in families.items() if family == "unknown"]:
        problem = f"nobody here knows what {unknown[0]!r} allows"
    elif len(strict) > 1 or (strict and limited and strict != limited):
        problem = f"{' and '.join(sorted({*strict, *limited}))} each ask for the whole mix"
    if problem and not allow:
        mix = f"{', '.join(families)}; {problem}"
        raise InputError(f"these licences may not be mixed: {mix}; leave one out, or allow it by the flag")
    return (strict or limited)[0] if len(strict or limited) == 1 and not problem else "other"
