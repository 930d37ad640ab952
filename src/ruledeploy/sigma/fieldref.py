"""`fieldref`: two fields of one event compared, in the names of a family."""

from __future__ import annotations

from msgspec.structs import replace
from sigma.types import SigmaFieldReference

from ruledeploy.fields import FieldTable
from ruledeploy.sigma.taxonomy import Taxonomy
from ruledeploy.sigma.tree import Line, TwoFields


def is_fieldref(line: Line) -> bool:
    """Whether the line compares its field with others."""
    return any(isinstance(value, SigmaFieldReference) for value in line.values)


def in_family(line: Line, name: str, taxonomy: Taxonomy, table: FieldTable) -> Line:
    """The line with both sides in the names of the family."""
    left = taxonomy.fields(name, table)
    values = tuple(
        TwoFields(left, taxonomy.fields(ref.field, table), ref.starts_with, ref.ends_with)
        for ref in line.values
        if isinstance(ref, SigmaFieldReference)
    )
    return replace(line, field=left[-1], values=values)
