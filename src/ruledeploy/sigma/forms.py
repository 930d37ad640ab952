"""What one comparison of a rule asks of one field, once the field's type is known.

A form is what the renderers write down; it holds nothing of pySigma's. `fold` means that the
index keeps letter case and the query must look past it.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from ruledeploy.sigma.match import Pattern


class Value(Struct, frozen=True, gc=False):
    """The whole value of a keyword fits a pattern; `array`: events hold several values."""

    field: str
    pattern: Pattern
    fold: bool = False
    array: bool = False


class Regex(Struct, frozen=True, gc=False):
    """The whole value matches a regular expression in Lucene's syntax.

    `wider`: it matches more than the rule's does.
    """

    field: str
    regex: str
    wider: bool = False


class Words(Struct, frozen=True, gc=False):
    """An analysed text has these words in this order, or a word of this pattern.

    `pattern` is what the rule says of the whole text, for languages that see it.
    """

    field: str
    pattern: Pattern


class Exact(Struct, frozen=True, gc=False):
    """A number, boolean, address or date equals a literal; `quoted` where it needs quotes."""

    field: str
    literal: str
    quoted: bool


class Network(Struct, frozen=True, gc=False):
    """An address lies in a network (`10.0.0.0/8`).

    `converted`: the field may keep it as text. `texts` are then patterns that such texts fit, for
    languages that cannot convert; none where nothing is known of the field.
    """

    field: str
    network: str
    converted: bool = False
    texts: tuple[Pattern, ...] = ()


class Compare(Struct, frozen=True, gc=False):
    """A number is beyond a bound."""

    field: str
    operator: str
    number: str


class Side(Struct, frozen=True, gc=False):
    r"""One side of a comparison of fields; the texts of several have `\` between them.

    `text`: they are texts as they are, not numbers, addresses or times.
    """

    fields: tuple[str, ...]
    text: bool


class Fields(Struct, frozen=True, gc=False):
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


class Exists(Struct, frozen=True, gc=False):
    """The field has an indexed value."""

    field: str


class Never(Struct, frozen=True, gc=False):
    """No document: the field's type cannot hold the value."""


class Not(Struct, frozen=True, gc=False):
    """The form does not hold; a missing field counts as not holding."""

    form: Form


class AnyOf(Struct, frozen=True, gc=False):
    """One of the forms holds."""

    forms: tuple[Form, ...]


class AllOf(Struct, frozen=True, gc=False):
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
