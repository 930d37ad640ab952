"""Forms as Lucene query strings, on pySigma's published Lucene backend for the logic between."""

from __future__ import annotations

import re

from sigma.backends.elasticsearch.elasticsearch_lucene import LuceneBackend

from ruledeploy.errors import Location, RuleError
from ruledeploy.sigma.forms import (
    AllOf,
    AnyOf,
    Compare,
    Exact,
    Exists,
    Form,
    Network,
    Never,
    Not,
    Regex,
    Value,
    Words,
)
from ruledeploy.sigma.match import Pattern, Wildcard
from ruledeploy.sigma.regex import MAX_LENGTH, fold
from ruledeploy.sigma.rendering import Rendering

_BARE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.]*")
_OPERATORS = {"AND", "OR", "NOT", "TO"}
_SPECIAL = re.compile(r'[-+=&|!(){}\[\]<>^"~*?:\\/\s]')
_NEVER = "(NOT *:*)"


class LuceneText(Rendering, LuceneBackend):
    """A rule's condition as a query string that means what Sigma means, on this table."""

    def render(self, form: Form, place: Location) -> str:
        """One form as one clause that needs no further parentheses."""
        match form:
            case Value() | Regex() | Words() | Exact() | Network():
                return f"{field_name(form.field)}:{self.term(form, place)}"
            case Compare():
                return f"{field_name(form.field)}:{form.operator}{form.number}"
            case Exists():
                return f"_exists_:{field_name(form.field)}"
            case Never():
                return _NEVER
            case Not():
                return f"(NOT {self.render(form.form, place)})"
            case AnyOf() | AllOf():
                return self._joined(form, place)

    def _joined(self, form: AnyOf | AllOf, place: Location) -> str:
        clauses = [self.render(each, place) for each in form.forms]
        if len(clauses) == 1:
            return clauses[0]
        word = "OR" if isinstance(form, AnyOf) else "AND"
        return f"({f' {word} '.join(clauses)})"

    def term(self, form: Form, place: Location) -> str:
        """What stands after `field:`."""
        match form:
            case Value(pattern=Pattern(parts=())):
                return "/()/"  # a quoted empty text would drop out of the query
            case Value(fold=True):
                return self._folded(form, place)
            case Value():
                return pattern_text(form.pattern)
            case Regex():
                return f"/{_short_enough(form.regex, place)}/"
            case Words():
                return self._words(form, place)
            case Exact(quoted=True):
                return quote(form.literal)
            case Exact():
                return form.literal.replace("-", "\\-")
            case Network(texts=(one,)):
                return pattern_text(one)
            case Network(texts=(_, *_)):
                return f"({' OR '.join(map(pattern_text, form.texts))})"
            case Network():
                return quote(form.network)
        raise AssertionError(form)  # the other forms have no term of their own

    def _folded(self, form: Value, place: Location) -> str:
        return f"/{_short_enough(fold(form.pattern), place)}/"

    def _words(self, form: Words, place: Location) -> str:
        text = "".join(part for part in form.pattern.parts if isinstance(part, str))
        inner = [part for part in form.pattern.parts[1:-1] if isinstance(part, Wildcard)]
        if text.isalnum() and form.pattern.plain is None:
            return pattern_text(form.pattern.lowered())
        if inner:
            message = f"{form.field} is analysed text: no wildcards between its words"
            raise RuleError(message, location=place, hint="language: esql")
        if form.pattern.plain is None:
            message = f"{form.field} is analysed text: the words are matched, not parts of them"
            self.warn("analysed-text", message, place)
        return quote(text)

    def group_key(self, form: Form) -> str | None:
        """Forms on one field may share it: `field:(a OR b)`."""
        match form:
            case Value() | Regex() | Exact() | Network():
                return form.field
            case _:
                return None

    def render_group(self, forms: list[Form], place: Location) -> str:
        """Several forms on one field."""
        terms = " OR ".join(dict.fromkeys(self.term(form, place) for form in forms))
        match forms[0]:
            case Value() | Regex() | Exact() | Network():
                return f"{field_name(forms[0].field)}:({terms})"
        raise AssertionError(forms)


def field_name(name: str) -> str:
    """A field name with what Lucene reads specially escaped."""
    return _SPECIAL.sub(r"\\\g<0>", name)


def pattern_text(pattern: Pattern) -> str:
    """A term: bare where that is safe, quoted without wildcards, escaped with them."""
    plain = pattern.plain
    if plain is None:
        return "".join(
            part.value if isinstance(part, Wildcard) else _SPECIAL.sub(r"\\\g<0>", part)
            for part in pattern.parts
        )
    return plain if _BARE.fullmatch(plain) and plain not in _OPERATORS else quote(plain)


def quote(text: str) -> str:
    r"""A quoted term: only `"` and `\` are special inside."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _short_enough(regex: str, place: Location) -> str:
    if len(regex) > MAX_LENGTH:
        message = f"the value is too long to be matched in any letter case ({len(regex)} > 1000)"
        raise RuleError(message, location=place, hint="language: esql or eql, or `|cased`")
    return regex
