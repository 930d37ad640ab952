"""Forms as Lucene query strings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from ruledeploy.errors import Location, RuleError
from ruledeploy.query.regexp import MAX_REGEX_LENGTH
from ruledeploy.query.text import lower, words
from ruledeploy.sigma.forms import (
    AllOf,
    AnyOf,
    Compare,
    Exact,
    Exists,
    Fields,
    Form,
    Network,
    Never,
    Not,
    Regex,
    Value,
    Words,
)
from ruledeploy.sigma.match import Pattern, Wildcard
from ruledeploy.sigma.regex import fold
from ruledeploy.sigma.rendering import Rendering

_BARE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.]*")
_OPERATORS = {"AND", "OR", "NOT", "TO"}
_SPECIAL = re.compile(r'[-+=&|!(){}\[\]<>^"~*?:\\/\s]')
_NEVER = "(NOT *:*)"
_FIRST, _LAST = re.compile(r"\w+"), re.compile(r"\w+\Z")


class LuceneText(Rendering):
    """A rule's condition as a query string that means what Sigma means, on this table."""

    words = ("AND", "OR", "NOT")
    has_precedence = False

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
            case Fields():
                message = "`fieldref` compares two fields, which Lucene cannot"
                raise RuleError(message, location=place, hint="language: esql or eql")
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
        texts = _texts(form.pattern)
        if len(texts) > 1:
            return self._parts(form, texts, place)
        text = "".join(texts)
        if text.isalnum() and form.pattern.plain is None:
            return pattern_text(form.pattern.lowered())
        if form.pattern.plain is None:
            message = f"{form.field} is analysed text: the words are matched, not parts of them"
            self.warn("analysed-text", message, place)
        return quote(text)

    def _parts(self, form: Words, texts: list[str], place: Location) -> str:
        """Texts with wildcards between them: each of them, wherever it is."""
        last = len(texts) - 1
        cut = (_terms(text, start=at > 0, end=at < last) for at, text in enumerate(texts))
        terms = dict.fromkeys(term for terms in cut for term in terms)
        if not terms:
            message = f"{form.field} is analysed text, and there is no word in the value"
            raise RuleError(message, location=place, hint="language: esql")
        message = f"{form.field} is analysed text: what is between wildcards counts in any order"
        self.warn("analysed-text", message, place)
        return f"({' AND '.join(terms)})" if len(terms) > 1 else next(iter(terms))

    def is_wider(self, form: Form) -> bool:
        """Also parts of a text, which may come in any order."""
        if isinstance(form, Words):
            return len(_texts(form.pattern)) > 1
        return super().is_wider(form)

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


def _texts(pattern: Pattern) -> list[str]:
    return [part for part in pattern.parts if isinstance(part, str)]


def _terms(text: str, *, start: bool, end: bool) -> Iterator[str]:
    """Terms for a text; a word at its start or end, with a wildcard there, may be part of one."""
    before = _FIRST.match(text) if start else None
    after = _LAST.search(text, before.end() if before else 0) if end else None
    middle = text[before.end() if before else 0 : after.start() if after else len(text)].strip()
    if words(middle):
        yield quote(middle)
    for edge in (before, after):
        if edge is not None and words(edge[0]):
            yield pattern_text(Pattern((Wildcard.ANY, lower(edge[0]), Wildcard.ANY)))


@lru_cache(maxsize=4096)
def field_name(name: str) -> str:
    """A field name with what Lucene reads specially escaped."""
    return _SPECIAL.sub(r"\\\g<0>", name)


def pattern_text(pattern: Pattern) -> str:
    """A term: bare where that is safe, quoted without wildcards, escaped with them."""
    plain = pattern.plain
    if plain is None:
        return "".join(
            part.sign if isinstance(part, Wildcard) else _SPECIAL.sub(r"\\\g<0>", part)
            for part in pattern.parts
        )
    return plain if _BARE.fullmatch(plain) and plain not in _OPERATORS else quote(plain)


def quote(text: str) -> str:
    r"""A quoted term: only `"` and `\` are special inside."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _short_enough(regex: str, place: Location) -> str:
    if len(regex) > MAX_REGEX_LENGTH:
        size = f"{len(regex)} > {MAX_REGEX_LENGTH}"
        message = f"as a regular expression the value is too long ({size})"
        raise RuleError(message, location=place, hint="language: esql or eql, or `|cased`")
    return regex
