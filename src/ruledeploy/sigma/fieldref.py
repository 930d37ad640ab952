"""`fieldref`: two fields of one event compared, in the names of a family."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sigma.rule import SigmaDetectionItem
from sigma.types import NoPlainConversionMixin, SigmaFieldReference, SigmaType

from ruledeploy.fields import FieldTable
from ruledeploy.sigma.taxonomy import Taxonomy


@dataclass
class TwoFields(NoPlainConversionMixin, SigmaType):
    r"""One side compared with the other; of two names it is their texts with `\` between.

    ECS keeps domain and name of a user apart, Windows' own fields have `DOMAIN\name`.
    """

    left: tuple[str, ...]
    right: tuple[str, ...]
    starts: bool = False
    ends: bool = False


def is_fieldref(item: SigmaDetectionItem) -> bool:
    """Whether the line compares its field with others."""
    return any(isinstance(value, SigmaFieldReference) for value in item.value)


def in_family(
    item: SigmaDetectionItem, name: str, taxonomy: Taxonomy, table: FieldTable
) -> SigmaDetectionItem:
    """The line with both sides in the names of the family."""
    left = taxonomy.fields(name, table)
    values: list[SigmaType] = [
        TwoFields(left, taxonomy.fields(ref.field, table), ref.starts_with, ref.ends_with)
        for ref in item.value
        if isinstance(ref, SigmaFieldReference)
    ]
    return replace(item, auto_modifiers=False, field=left[-1], value=values)
