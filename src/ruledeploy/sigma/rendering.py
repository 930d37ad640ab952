"""What the languages' renderers share: how AND, OR and NOT are walked, and forms become text."""

from __future__ import annotations

from abc import abstractmethod
from functools import lru_cache
from pathlib import Path
from typing import Any

from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.exceptions import SigmaRuleLocation

from ruledeploy.errors import Location, RuleError
from ruledeploy.model import Finding
from ruledeploy.sigma.forms import AllOf, AnyOf, Form, Not, Regex
from ruledeploy.sigma.leaf import LeafReader, negate

# Alternatives side by side; ES|QL refuses expressions deeper than 300.
_CHAIN = 100
_LEAVES = (ConditionFieldEqualsValueExpression, ConditionValueExpression)


class Rendering:
    """Mixed in before a published backend: its words and precedence stay, its leaves are ours.

    Made for one rule and thrown away. A subclass says how forms are written (`render`), which
    may share their field (`group_key`) and how (`render_group`).
    """

    leaves: LeafReader

    def for_rule(self, leaves: LeafReader, fallback: Location) -> None:
        """Say which table the rule is read against, and where it starts."""
        self.leaves = leaves
        self.fallback = fallback
        self.negated = False
        # By the identity of what they are of, which lives as long as the rule's tree; parts of long
        # ORs are made on the way, and kept here lest another take the place of one.
        self._forms: dict[int, Form] = {}
        self._places: dict[int, Location] = {}
        self._lists: dict[int, tuple[Any, bool]] = {}

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

    def form(self, cond: Any) -> Form:
        """The form of a comparison, read once however often pySigma asks."""
        known = self._forms.get(id(cond))
        if known is None:
            place = self.place(cond)
            if isinstance(cond, ConditionValueExpression):
                known = self.leaves.keyword(cond.value, place)
            else:
                known = self.leaves.read(cond.field, cond.value, place)
            self._forms[id(cond)] = known
        return known

    def is_wider(self, form: Form) -> bool:
        """Whether what is written finds more than the form says."""
        match form:
            case Regex(wider=wider):
                return wider
            case AnyOf(forms) | AllOf(forms):
                return any(map(self.is_wider, forms))
            case _:
                return False

    def refuse_wider(self, cond: Any, *, negative: bool = False) -> None:
        """Raise `RuleError` for a wider comparison under a NOT, which would hide more."""
        if isinstance(cond, _LEAVES):
            if negative and self.is_wider(self.form(cond)):
                message = "only a wider comparison can be written, and under a NOT it hides attacks"
                raise RuleError(message, location=self.place(cond), hint="simplify it")
            return
        turned = isinstance(cond, ConditionNOT)
        for arg in cond.args:
            self.refuse_wider(arg, negative=negative is not turned)

    def place(self, cond: Any) -> Location:
        """Where the comparison is written."""
        source = getattr(cond, "source", None)
        if not isinstance(source, SigmaRuleLocation) or not source.line:
            return self.fallback
        known = self._places.get(id(source))
        if known is None:
            known = Location(_path(source.path), source.line, source.char or 0)
            self._places[id(source)] = known
        return known

    # ------------------------------------------------------------ as pySigma has these by name

    def convert_condition(self, cond: Any, state: Any) -> Any:
        """One node and what is below it; None where that asks nothing."""
        match cond:
            case ConditionFieldEqualsValueExpression():
                return self.convert_condition_field_eq_val(cond, state)
            case ConditionValueExpression():
                return self.convert_condition_val(cond, state)
            case ConditionOR() if self.decide_convert_condition_as_in_expression(cond, state):
                return self.convert_condition_as_in_expression(cond, state)
            case ConditionOR():
                return self.convert_condition_or(cond, state)
            case ConditionAND():
                return self._chained(cond, state, self.and_token)  # type: ignore[attr-defined]  # pySigma's
            case ConditionNOT():
                return self.convert_condition_not(cond, state)
            case None:
                return None
            case _:
                raise AssertionError(cond)  # there are no other nodes in a condition

    def convert_condition_or(self, cond: Any, state: Any) -> Any:
        """OR that is no list."""
        return self._chained(cond, state, self.or_token)  # type: ignore[attr-defined]  # pySigma's

    def _chained(self, cond: Any, state: Any, word: str) -> str | None:
        parts = []
        for arg in cond.args:
            bare = self.compare_precedence(cond, arg)
            text = self.convert_condition(arg, state)
            if text is not None:
                parts.append(text if bare else f"({text})")
        return f" {word} ".join(parts) if parts else None

    def compare_precedence(self, outer: Any, inner: Any) -> bool:
        """Whether `inner` stands in `outer` without parentheses: our clauses and lists do."""
        if isinstance(inner, _LEAVES) or self.decide_convert_condition_as_in_expression(
            inner, None
        ):
            return True
        return bool(super().compare_precedence(outer, inner))  # type: ignore[misc]  # pySigma's

    def convert_condition_field_eq_val(self, cond: Any, state: Any) -> str:  # noqa: ARG002
        """A field's comparison."""
        return self.render(self.form(cond), self.place(cond))

    def convert_condition_val(self, cond: Any, state: Any) -> str:  # noqa: ARG002
        """A keyword without a field."""
        return self.render(self.form(cond), self.place(cond))

    def convert_condition_not(self, cond: Any, state: Any) -> Any:
        """NOT; of a comparison that is negative by itself, its opposite."""
        inner = cond.args[0]
        before, self.negated = self.negated, True
        try:
            if isinstance(inner, _LEAVES):
                form = self.form(inner)
                text = self.render(negate(form), self.place(inner))
                return text[1:-1] if isinstance(negate(form), Not) else text
            text = self.convert_condition(inner, state)
            if text is None:
                return None
            one = self.decide_convert_condition_as_in_expression(inner, state)
            return f"{self.not_token} {text if one else f'({text})'}"  # type: ignore[attr-defined]  # pySigma's
        finally:
            self.negated = before

    def in_groups(self, cond: Any, state: Any) -> str | None:
        """An OR so long that a parser may not take it, in groups; None for a shorter one."""
        if len(cond.args) <= _CHAIN:
            return None
        chunks = [cond.args[at : at + _CHAIN] for at in range(0, len(cond.args), _CHAIN)]
        groups = (self.convert_condition(ConditionOR(chunk), state) for chunk in chunks)
        return f" {self.or_token} ".join(f"({group})" for group in groups)  # type: ignore[attr-defined]  # pySigma's

    def decide_convert_condition_as_in_expression(self, cond: Any, state: Any) -> bool:  # noqa: ARG002
        """Whether the arguments are comparisons that can be written as one list."""
        if type(cond) is not ConditionOR:
            return False
        known = self._lists.get(id(cond))
        if known is None:
            known = self._lists[id(cond)] = cond, self._is_list(cond)
        return known[1]

    def _is_list(self, cond: Any) -> bool:
        args = cond.args
        if len(args) < 2:  # noqa: PLR2004 - a list
            return False
        if {type(arg) for arg in args} != {ConditionFieldEqualsValueExpression}:
            return False
        keys = {self.group_key(self.form(arg)) for arg in args}
        return len(keys) == 1 and None not in keys

    def convert_condition_as_in_expression(self, cond: Any, state: Any) -> str:  # noqa: ARG002
        """One list."""
        return self.render_group([self.form(arg) for arg in cond.args], self.place(cond.args[0]))


@lru_cache(maxsize=8)
def _path(path: Path) -> str:
    """The file as we name it: of its every line it is the same."""
    return path.as_posix()
