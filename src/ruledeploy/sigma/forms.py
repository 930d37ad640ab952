"""What one comparison of a rule asks of one field, once the field's type is known.

A form is what the renderers write down; it holds nothing of pySigma's. `fold` means that the
index keeps letter case and the query must look past it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ruledeploy.sigma.match import Pattern


@dataclass(frozen=True, slots=True)
class Value:
    """The whole value of a keyword fits a pattern; `array`: events hold several values."""

    field: str
    pattern: Pattern
    fold: bool = False
    array: bool = False


@dataclass(frozen=True, slots=True)
class Regex:
    """The whole value matches a regular expression in Lucene's syntax.

    `wider`: it matches more than the rule's does.
    """

    field: str
    regex: str
    wider: bool = False


@dataclass(frozen=True, slots=True)
class Words:
    """An analysed text has these words in this order, or a word of this pattern.

    `pattern` is what the rule says of the whole text, for languages that see it.
    """

    field: str
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class Exact:
    """A number, boolean, address or date equals a literal; `quoted` where it needs quotes."""

    field: str
    literal: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Network:
    """An address lies in a network (`10.0.0.0/8`).

    `converted`: the field may keep it as text. `texts` are then patterns that such texts fit, for
    languages that cannot convert; none where nothing is known of the field.
    """

    field: str
    network: str
    converted: bool = False
    texts: tuple[Pattern, ...] = ()


@dataclass(frozen=True, slots=True)
class Compare:
    """A number is beyond a bound."""

    field: str
    operator: str
    number: str


@dataclass(frozen=True, slots=True)
class Side:
    r"""One side of a comparison of fields; the texts of several have `\` between them.

    `text`: they are texts as they are, not numbers, addresses or times.
    """

    fields: tuple[str, ...]
    text: bool


@dataclass(frozen=True, slots=True)
class Fields:
    """A field has the same text as another in any letter case, or starts or ends with it."""

    left: Side
    right: Side
    starts: bool = False
    ends: bool = False

    @property
    def field(self) -> str:
        """The field that is compared."""
        return self.left.fields[-1]

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field that must be there."""
        return tuple(dict.fromkeys((*self.left.fields, *self.right.fields)))


@dataclass(frozen=True, slots=True)
class Exists:
    """The field has an indexed value."""

    field: str


@dataclass(frozen=True, slots=True)
class Never:
    """No document: the field's type cannot hold the value."""


@dataclass(frozen=True, slots=True)
class Not:
    """The form does not hold; a missing field counts as not holding."""

    form: Form


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of the forms holds."""

    forms: tuple[Form, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every form holds."""

    forms: tuple[Form, ...]


Form: TypeAlias = (
    Value
    | Regex
    | Words
    | Exact
    | Network
    | Compare
    | Fields
    | Exists
    | Never
    | Not
    | AnyOf
    | AllOf
)
