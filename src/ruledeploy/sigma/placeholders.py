"""`%name%` under `|expand`: the values that the project's settings give it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from types import MappingProxyType

from sigma.rule import SigmaDetectionItem
from sigma.types import Placeholder, SigmaExpansion, SigmaString, SigmaType

from ruledeploy.errors import Location, RuleError

Placeholders = Mapping[str, tuple[str, ...]]
NO_PLACEHOLDERS: Placeholders = MappingProxyType({})


def with_values(item: SigmaDetectionItem, known: Placeholders, place: Location) -> None:
    """Fill in every placeholder of an item, in place; several values are alternatives.

    Values may hold wildcards, as values in a rule do. Raises `RuleError` naming a placeholder that
    has no value.
    """
    if any(_open(value) for value in item.value):
        item.value = [_filled(value, known, place) for value in item.value]


def _open(value: SigmaType) -> bool:
    return isinstance(value, SigmaString) and value.contains_placeholder()


def _filled(value: SigmaType, known: Placeholders, place: Location) -> SigmaType:
    if not isinstance(value, SigmaString) or not value.contains_placeholder():
        return value

    def values(placeholder: Placeholder) -> Iterator[SigmaString]:
        if not known.get(placeholder.name):
            raise _unknown(placeholder.name, known, place)
        yield from map(SigmaString, known[placeholder.name])

    made: list[SigmaType] = [_like(value, each) for each in value.replace_placeholders(values)]
    return made[0] if len(made) == 1 else SigmaExpansion(made)


def _like(value: SigmaString, filled: SigmaString) -> SigmaString:
    """The filled string in the value's own class, which says whether letter case counts."""
    made = value.__class__()
    made.s = filled.s
    return made


def _unknown(name: str, known: Placeholders, place: Location) -> RuleError:
    close = get_close_matches(name, known, n=1)
    hint = f'write  {name} = ["…"]  under [defaults.placeholders] or [env.NAME.placeholders]'
    if close:
        hint = f"did you mean %{close[0]}%? or {hint}"
    return RuleError(f"the placeholder %{name}% has no value", location=place, hint=hint)
