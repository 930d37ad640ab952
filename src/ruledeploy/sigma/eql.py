"""Forms as EQL.

A comparison with a missing field is false in EQL and its NOT true, as Sigma has it, and of several
values any counts. But a field that no searched index has is an error when the rule runs, unless it
is written `?field`: then it is null, and so is the NOT of a comparison with it. Fields that the
family's package maps are therefore written bare, so that a rule over the wrong indices fails
aloud; any other is written with `?` and, under a NOT, guarded by `?field != null and …`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from ruledeploy.errors import Location, RuleError
from ruledeploy.query.eql_tokens import KEYWORDS
from ruledeploy.query.regexp import MAX_REGEX_LENGTH
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
    Side,
    Value,
    Words,
)
from ruledeploy.sigma.match import Pattern, Wildcard
from ruledeploy.sigma.regex import escape as escape_regex
from ruledeploy.sigma.regex import fold, has_case
from ruledeploy.sigma.rendering import Either, Rendering
from ruledeploy.sigma.tree import Comparison

_TEXTS = ("text", "match_only_text")
_WILD = re.compile(r"[*?]")
_NAME = re.compile(r"[A-Za-z_@][A-Za-z0-9_]*")
_ESCAPES = str.maketrans(
    {
        "\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"
    }
)  # fmt: skip
_HINT = "language: lucene or esql"
_UNUSABLE = ("nested", "flattened")
# A comparison with text: the word of EQL that asks it, what it is compared with, and the word that
# it shares with others in a list.
_Asked = tuple[str, str, str]


class EqlText(Rendering):
    """A rule's condition as the expression after `any where`."""

    def render(self, form: Form, place: Location) -> str:
        """One form as one clause that needs no further parentheses."""
        match form:
            case Exists():
                return f"{self._column(form.field, place)} != null"
            case Not(form=Exists(field=field)):
                return f"({self._column(field, place)} == null)"
            case Not():
                return self._negation(form, place)
            case Never():
                return "false"
            case Fields():
                return self._fields(form, place)
            case Network(field, texts=(_, *_) as texts):
                return self.render(AnyOf(tuple(Value(field, text) for text in texts)), place)
            case AnyOf(forms) if self._one_list(forms):
                return self.render_group(list(forms), place)
            case AnyOf() | AllOf():
                word = " or " if isinstance(form, AnyOf) else " and "
                clauses = [self.render(each, place) for each in form.forms]
                return clauses[0] if len(clauses) == 1 else f"({word.join(clauses)})"
            case _:
                return self.render_group([form], place)

    def _fields(self, form: Fields, place: Location) -> str:
        """EQL compares no two fields with an operator, but its functions take two.

        Of two texts that start with each other neither is longer.
        """
        left, right = self._side(form.left, place), self._side(form.right, place)
        clauses = [
            *([f"startsWith~({left}, {right})"] if form.starts else []),
            *([f"endsWith~({left}, {right})"] if form.ends else []),
        ] or [f"startsWith~({left}, {right})", f"startsWith~({right}, {left})"]
        columns = [self._column(name, place) for name in form.fields] if self.negated else []
        joined = " and ".join([*(f"{column} != null" for column in columns), *clauses])
        return joined if joined == clauses[0] else f"({joined})"

    def _side(self, side: Side, place: Location) -> str:
        columns = [self._column(name, place) for name in side.fields]
        texts = columns if side.text else [f"string({column})" for column in columns]
        return texts[0] if len(texts) == 1 else f"concat({f', {string(chr(92))}, '.join(texts)})"

    def _one_list(self, forms: tuple[Form, ...]) -> bool:
        keys = {self.group_key(form) for form in forms}
        return len(keys) == 1 and None not in keys

    def _negation(self, form: Not, place: Location) -> str:
        before, self.negated = self.negated, True
        try:
            return f"(not {self.render(form.form, place)})"
        finally:
            self.negated = before

    def group_key(self, form: Form) -> str | None:
        """Forms on one field that one word of EQL asks make one list.

        Not regular expressions: Elasticsearch makes one of a list, and soon finds it too complex.
        """
        match form:
            case Value() | Regex():
                _, _, word = _asked(form)
                return f"{word} {form.field}" if word else None
            case Exact():
                return f"in {form.field}"
            case Network(texts=()):
                return f"cidrMatch {form.field}"
            case _:
                return None

    def render_group(self, forms: list[Form], place: Location) -> str:
        """Several forms with one key, or one form."""
        match forms[0]:
            case Value() | Regex() as first:
                field = first.field
                asked = [_asked(form) for form in forms if isinstance(form, Value | Regex)]
                clause = self._texts(field, asked, place)
            case Words(field, pattern):
                return self.render(self._keyword(field, pattern, place), place)
            case Exact() as first:
                field = first.field
                exacts = (form for form in forms if isinstance(form, Exact))
                clause = _listed(self._column(field, place), "==", "in", map(_literal, exacts))
            case Network(converted=True) as first:
                raise RuleError(
                    f"the type of {first.field} is not known, and EQL's cidrMatch takes addresses "
                    "alone",
                    location=place,
                    hint=f"search an index whose fields are known (`elastic.index`), or {_HINT}",
                )
            case Network() as first:
                field = first.field
                networks = [form.network for form in forms if isinstance(form, Network)]
                listed = ", ".join(map(string, dict.fromkeys(networks)))
                clause = f"cidrMatch({self._column(field, place)}, {listed})"
            case Compare() as first:
                field = first.field
                clause = f"{self._column(field, place)} {first.operator} {first.number}"
            case _:
                raise AssertionError(forms)
        return self._guarded(field, clause, place)

    def _texts(self, field: str, asked: list[_Asked], place: Location) -> str:
        """The clause for texts compared by one word, or by `in` and `like`."""
        column = self._column(field, place)
        words = {word for word, _, _ in asked}
        word = "like" if words == {"in", "like"} else words.pop()
        texts = [text for _, text, _ in asked]
        match word:
            case "in":
                return _listed(column, "==", "in", map(string, texts))
            case "regex":
                return f"{column} regex {string(_short_enough(texts[0], place))}"
            case _:
                return _listed(column, word, word, map(string, texts))

    def _keyword(self, field: str, pattern: Pattern, place: Location) -> Value:
        """The keyword of an analysed text, which EQL compares in its place."""
        found = self.leaves.table.get(f"{field}.keyword")
        if found is None or found.type != "keyword":
            raise RuleError(
                f"{field} is analysed text, which EQL cannot search", location=place, hint=_HINT
            )
        return Value(f"{field}.keyword", pattern, fold=has_case(pattern.literal))

    def forms(self, comparison: Comparison) -> list[Form]:
        """A keyword without a field is refused, for what is searched is an analysed text."""
        message = self.leaves.table.get("message")
        if comparison.field is None and (message is None or message.type in _TEXTS):
            raise RuleError(
                "keywords without a field are searched in `message`, which is analysed text: EQL "
                "cannot search it",
                location=comparison.place,
                hint=_HINT,
            )
        return super().forms(comparison)

    def disjunction(self, asked: Either) -> str:
        """OR; long ones in groups, since Elasticsearch's parser recurses into them."""
        return self.in_groups(asked) or super().disjunction(asked)

    # ------------------------------------------------------------------------------ columns

    def _column(self, field: str, place: Location) -> str:
        """The field's name; with `?` where it need not be in the index."""
        table = self.leaves.table
        unusable = table.held_by(field, _UNUSABLE)
        if unusable is not None:
            kind = table.fields[unusable].type
            raise RuleError(
                f"{field} is, or lies in, the {kind} `{unusable}`, which EQL cannot search",
                location=place,
                hint=_HINT,
            )
        return field_name(field) if self._is_sure(field) else f"?{field_name(field)}"

    def _is_sure(self, field: str) -> bool:
        """Whether every index of the family has the field: ECS is no package's mapping."""
        table = self.leaves.table
        if table.family == "ecs":
            return False
        parent, _, suffix = field.rpartition(".")
        return field in table.fields or (
            parent in table.fields and suffix in table.fields[parent].fields
        )

    def _guarded(self, field: str, clause: str, place: Location) -> str:
        if not self.negated or self._is_sure(field):
            return clause
        return f"({self._column(field, place)} != null and {clause})"


@lru_cache(maxsize=8192)
def _asked(form: Value | Regex) -> _Asked:
    """How EQL asks a comparison with text.

    `:` and `like` have no escapes for their wildcards, and letter case is that of ASCII to them.
    """
    if isinstance(form, Regex):
        return "regex", form.regex, ""
    literal = form.pattern.literal
    folds = form.fold
    plain = form.pattern.plain
    if folds and not literal.isascii() and has_case(_beyond_ascii(literal)):
        return "regex", fold(form.pattern), ""
    if plain is not None and not folds:
        # `like` compares whole values too, unless they hold what are wildcards to it.
        return "in", plain, "in" if _WILD.search(plain) else "like"
    if not _WILD.search(literal):
        wild = "".join(
            [part if isinstance(part, str) else part.sign for part in form.pattern.parts]
        )
        word = ":" if folds else "like"
        return word, wild, word
    if plain is not None:
        return "in~", plain, "in~"
    return "regex", fold(form.pattern) if folds else _as_regex(form.pattern), ""


def _beyond_ascii(text: str) -> str:
    return "".join(char for char in text if not char.isascii())


def _as_regex(pattern: Pattern) -> str:
    """The pattern as a regular expression, in its own letter case."""
    wildcards = {Wildcard.ANY: ".*", Wildcard.ONE: "."}
    return "".join(
        wildcards[part] if isinstance(part, Wildcard) else "".join(map(escape_regex, part))
        for part in pattern.parts
    )


def _literal(form: Exact) -> str:
    return string(form.literal) if form.quoted else form.literal


def _listed(column: str, one: str, many: str, literals: Iterable[str]) -> str:
    """`column one literal`, or `column many (literal, …)`; repeats are left out."""
    unique = list(dict.fromkeys(literals))
    if len(unique) == 1 and many != "in~":
        return f"{column} {one} {unique[0]}"
    return f"{column} {many} ({', '.join(unique)})"


def _short_enough(regex: str, place: Location) -> str:
    if len(regex) > MAX_REGEX_LENGTH:
        message = (
            f"as a regular expression the value is too long ({len(regex)} > {MAX_REGEX_LENGTH})"
        )
        raise RuleError(message, location=place, hint="language: esql, or `|cased`")
    return regex


@lru_cache(maxsize=4096)
def field_name(name: str) -> str:
    """A field; quoted where a part of it is no plain name, or a word of EQL."""
    parts = name.split(".")
    if all(_NAME.fullmatch(part) and part not in KEYWORDS for part in parts):
        return name
    return f"`{name.replace('`', '``')}`"


def string(text: str) -> str:
    """A string literal."""
    return f'"{text.translate(_ESCAPES)}"'
