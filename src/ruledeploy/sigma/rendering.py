"""What the languages' renderers share: how AND, OR and NOT are walked, and forms become text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, TypeAlias

from msgspec import Struct

from ruledeploy.errors import Location, RuleError
from ruledeploy.model import Finding
from ruledeploy.sigma.forms import AllOf, AnyOf, Exists, Form, Not, Regex
from ruledeploy.sigma.leaf import LeafReader, negate
from ruledeploy.sigma.tree import And, Comparison, Or, Tree
from ruledeploy.sigma.tree import Not as Negation

# Alternatives side by side; ES|QL refuses expressions deeper than 300.
_CHAIN = 100


class Clause(Struct, frozen=True, gc=False):
    """A comparison as a form; of a keyword it has no field."""

    form: Form
    place: Location
    field: str | None


class Listed(Struct, frozen=True, gc=False):
    """An OR of clauses that can be written as one list."""

    clauses: tuple[Clause, ...]

    @property
    def forms(self) -> list[Form]:
        """What is listed."""
        return [clause.form for clause in self.clauses]


class Both(Struct, frozen=True, gc=False):
    """AND of several."""

    parts: tuple[Asked, ...]


class Either(Struct, frozen=True, gc=False):
    """OR of several."""

    parts: tuple[Asked, ...]


class Opposite(Struct, frozen=True, gc=False):
    """NOT."""

    part: Asked


# A condition whose comparisons are forms.
Asked: TypeAlias = Both | Either | Opposite | Listed | Clause


class Rendering(ABC):
    """Writes conditions in one language.

    Made for one rule and thrown away. A subclass says how forms are written (`render`), which
    may share their field (`group_key`) and how (`render_group`).
    """

    words: ClassVar[tuple[str, str, str]] = ("and", "or", "not")
    # Whether AND binds more strongly than OR, and NOT than both.
    has_precedence: ClassVar[bool] = True

    leaves: LeafReader
    negated = False

    def for_rule(self, leaves: LeafReader) -> None:
        """Say which table the rule is read against."""
        self.leaves = leaves

    @abstractmethod
    def render(self, form: Form, place: Location) -> str:
        """One form as one clause that needs no further parentheses."""

    @abstractmethod
    def group_key(self, form: Form) -> str | None:
        """Forms with one key may be written as one list; None: not this form."""

    @abstractmethod
    def render_group(self, forms: list[Form], place: Location) -> str:
        """Several forms with one key."""

    def warn(self, code: str, message: str, place: Location) -> None:
        """Report what the language cannot say exactly."""
        self.leaves.report(Finding("warning", code, message, place))

    # ------------------------------------------------------------------ from values to forms

    def forms(self, comparison: Comparison) -> list[Form]:
        """What is asked for each value. Raises `RuleError` for what no language of ours can ask."""
        field, values, place = comparison.field, comparison.values, comparison.place
        if field is None:
            return [self.leaves.keyword(value, place) for value in values]
        return self.leaves.read(field, values, place)

    def asked(self, tree: Tree) -> Asked:
        """The condition with its comparisons read."""
        match tree:
            case Comparison():
                found = [Clause(form, tree.place, tree.field) for form in self.forms(tree)]
                clauses = tuple(found)
                if len(clauses) == 1:
                    return clauses[0]
                return Both(clauses) if tree.every else self.alternatives(clauses)
            case Or(parts):
                return self.alternatives(tuple([self.asked(part) for part in parts]))
            case And(parts):
                return Both(tuple([self.asked(part) for part in parts]))
            case Negation(part):
                return Opposite(self.asked(part))

    def alternatives(self, parts: tuple[Asked, ...]) -> Asked:
        """OR: a list where it can be one."""
        clauses = tuple([part for part in parts if isinstance(part, Clause) and part.field])
        if len(clauses) < len(parts) or len(parts) == 1:
            return Either(parts)
        keys = {self.group_key(clause.form) for clause in clauses}
        return Listed(clauses) if len(keys) == 1 and None not in keys else Either(parts)

    def is_wider(self, form: Form) -> bool:
        """Whether what is written finds more than the form says."""
        match form:
            case Regex(wider=wider):
                return wider
            case AnyOf(forms) | AllOf(forms):
                return any(map(self.is_wider, forms))
            case _:
                return False

    def refuse_wider(self, asked: Asked, *, negative: bool = False) -> None:
        """Raise `RuleError` for a wider comparison under a NOT, which would hide more."""
        match asked:
            case Clause(form, place):
                if negative and self.is_wider(form):
                    message = (
                        "only a wider comparison can be written, and under a NOT it hides attacks"
                    )
                    raise RuleError(message, location=place, hint="simplify it")
            case Opposite(part):
                self.refuse_wider(part, negative=not negative)
            case Both(parts) | Either(parts) | Listed(parts):
                for each in parts:
                    if negative or not isinstance(each, Clause):
                        self.refuse_wider(each, negative=negative)

    # ------------------------------------------------------------------- from forms to text

    def text(self, asked: Asked) -> str:
        """A condition, or a part of it."""
        match asked:
            case Clause(form, place):
                return self.render(form, place)
            case Listed():
                return self.render_group(asked.forms, asked.clauses[0].place)
            case Either():
                return self.disjunction(asked)
            case Both(parts):
                word = f" {self.words[0]} "
                return word.join([self._part(asked, part) for part in parts])
            case Opposite(part):
                return self._opposite(part)

    def disjunction(self, asked: Either) -> str:
        """OR that is no list."""
        return f" {self.words[1]} ".join([self._part(asked, part) for part in asked.parts])

    def _part(self, outer: Both | Either, inner: Asked) -> str:
        text = self.text(inner)
        return text if self._stands_bare(outer, inner) else f"({text})"

    def _stands_bare(self, outer: Both | Either, inner: Asked) -> bool:
        """Whether `inner` stands in `outer` without parentheses: our clauses and lists do."""
        match inner:
            case Clause() | Listed() | Opposite(Clause(Not(Exists()))):
                return True
            case Either():
                return self.has_precedence and isinstance(outer, Either)
            case _:
                return self.has_precedence

    def _opposite(self, inner: Asked) -> str:
        """NOT; of a comparison that is negative by itself, its opposite."""
        before, self.negated = self.negated, True
        try:
            if isinstance(inner, Clause):
                form = negate(inner.form)
                text = self.render(form, inner.place)
                return text[1:-1] if isinstance(form, Not) else text
            text = self.text(inner)
            return f"{self.words[2]} {text if isinstance(inner, Listed) else f'({text})'}"
        finally:
            self.negated = before

    def in_groups(self, asked: Either) -> str | None:
        """An OR so long that a parser may not take it, in groups; None for a shorter one."""
        parts = asked.parts
        if len(parts) <= _CHAIN:
            return None
        chunks = [parts[at : at + _CHAIN] for at in range(0, len(parts), _CHAIN)]
        groups = (self.text(self.alternatives(chunk)) for chunk in chunks)
        return f" {self.words[1]} ".join(f"({group})" for group in groups)
