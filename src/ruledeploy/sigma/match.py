"""What an allowlist selection says, free of pySigma's types."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from msgspec import Struct

from ruledeploy.errors import Location
from ruledeploy.query.text import lower


class Wildcard(Enum):
    """The two wildcards of Sigma, which are those of Elasticsearch's wildcard query."""

    # Numbers, so that a wildcard that is stored differs from the text it is written as.
    ANY = 1
    ONE = 2

    # There is one of each; the class's own is slow, and patterns are hashed by the thousand.
    __hash__ = object.__hash__

    @property
    def sign(self) -> str:
        """How it is written."""
        return "*" if self is Wildcard.ANY else "?"


class Pattern(Struct, frozen=True, gc=False):
    r"""A value as a sequence of literal text and wildcards; `()` is the empty string.

    `C:\\Temp\\*` is `("C:\\Temp\\", Wildcard.ANY)`. Adjacent texts are merged.
    """

    parts: tuple[str | Wildcard, ...]

    @property
    def plain(self) -> str | None:
        """The text, or None when a wildcard is in it."""
        if Wildcard.ANY in self.parts or Wildcard.ONE in self.parts:
            return None
        return self.literal

    @property
    def literal(self) -> str:
        """The text between the wildcards, put together."""
        return "".join([part for part in self.parts if isinstance(part, str)])

    @property
    def matches_anything(self) -> bool:
        """Whether the pattern is made of `*` alone: it asks only that the field exists."""
        return bool(self.parts) and self.parts.count(Wildcard.ANY) == len(self.parts)

    def lowered(self) -> Pattern:
        """The pattern with its text in lower case, as a lowercase normalizer stores it."""
        return Pattern(
            tuple(part if isinstance(part, Wildcard) else lower(part) for part in self.parts)
        )

    def to_wildcard(self) -> str:
        r"""The pattern of a wildcard query or entry: `*`, `?`, and `\` before their literals."""
        return "".join(
            part.sign if isinstance(part, Wildcard) else _escape(part) for part in self.parts
        )


def _escape(text: str) -> str:
    return "".join(f"\\{char}" if char in "*?\\" else char for char in text)


@dataclass(frozen=True, slots=True)
class FieldMatch:
    """One line of a selection: what a field must be.

    `match`: a value equals one of the patterns, or with `all_of` the field has a value for each.
    `cidr`: an address lies in one of the networks (plain patterns such as `10.0.0.0/8`).
    `exists`: the field is there (`present`) or is not; `values` is empty.
    `list`: a value stands in the value list `list_name`; `values` is empty.
    `cased`: only this spelling; otherwise letter case does not count.
    """

    field: str
    kind: Literal["match", "cidr", "exists", "list"]
    values: tuple[Pattern, ...]
    location: Location
    all_of: bool = False
    cased: bool = False
    present: bool = True
    list_name: str = ""
