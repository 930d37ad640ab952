"""Functions of one value that ES|QL and EQL have, by the names the IR uses for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv6Address
from types import MappingProxyType
from typing import TypeAlias

from ruledeploy.fields import FieldType
from ruledeploy.query.dates import from_ms
from ruledeploy.query.terms import DATES, IndexTerm, parse_ip
from ruledeploy.query.text import utf16_length

# None: the value cannot be converted, and ES|QL makes it null.
Step: TypeAlias = Callable[[IndexTerm, FieldType], IndexTerm | None]

_KEYWORD = FieldType("keyword")
_INTEGER = FieldType("long")
_ADDRESS = FieldType("ip")


def to_string(term: IndexTerm, type_: FieldType) -> str:
    """A value as ES|QL's `to_string` writes it."""
    if type_.type == "ip":
        address = IPv6Address(int(term))  # type: ignore[arg-type] # terms of ip fields are ints
        return str(address.ipv4_mapped or address)
    if type_.type in DATES:
        moment = from_ms(int(term))  # type: ignore[arg-type] # terms of dates are ints
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
    if isinstance(term, bool):
        return "true" if term else "false"
    return str(term)


STEPS: Mapping[str, Step] = MappingProxyType(
    {
        # Java's String.toLowerCase, with final sigma and all, as Python has it; an index's
        # normalizer goes character by character instead.
        "lower": lambda term, _: str(term).lower(),
        "upper": lambda term, _: str(term).upper(),
        "trim": lambda term, _: str(term).strip(),
        "ltrim": lambda term, _: str(term).lstrip(),
        "rtrim": lambda term, _: str(term).rstrip(),
        "length": lambda term, _: len(str(term)),
        "utf16_length": lambda term, _: utf16_length(str(term)),
        "string": to_string,
        "ip": lambda term, _: term if isinstance(term, int) else parse_ip(term),
    }
)

_RESULTS = {"length": _INTEGER, "utf16_length": _INTEGER, "ip": _ADDRESS}


def result_type(steps: tuple[str, ...], type_: FieldType) -> FieldType:
    """The type of a column after the steps."""
    if not steps:
        return type_
    return _RESULTS.get(steps[-1], _KEYWORD)
