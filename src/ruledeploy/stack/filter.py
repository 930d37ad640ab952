"""KQL over saved objects: the filters clients send to `_find` and `_bulk_action`.

Fields are written `alert.attributes.params.ruleId`, `exception-list.attributes.name` and so on.
`and` binds tighter than `or`; `f:(a or b)`, `f:(a and b)`, ranges, `f:*`, wildcards and
quoted phrases work. Names of rules are analysed text, everything else is a keyword.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fnmatch import translate
from typing import Any

from ruledeploy.stack.alertingtypes import ALERTING_TYPES
from ruledeploy.stack.filterkeys import check_keys

# Field path (with its saved-object type) -> values.
Attributes = Callable[[str], list[Any]]
Predicate = Callable[[Attributes], bool]
# Reads what connectives join.
Leaf = Callable[[], Predicate]

_TOKEN = re.compile(
    r'\s*(?:(?P<quoted>"(?:\\.|[^"\\])*")|(?P<op><=|>=|[():<>{}])'
    r'|(?P<bare>(?:\\.|[^\s():<>"{}\\])+))',
    re.DOTALL,
)
_OPERATORS = {":", "<", ">", "<=", ">="}
_PUNCTUATION = {*_OPERATORS, "(", ")", "{", "}"}
_TEXT_FIELDS = {"alert.attributes.name"}
_EXPECTED = 'Expected "(", NOT, field name, value, whitespace but'


class FilterError(ValueError):
    """The filter does not parse."""


def parse_filter(text: str, types: Sequence[str] = ()) -> Predicate:
    """Compile a filter. Raises `FilterError`, and `ScopeError` for a key that `types` lack.

    Without types any key will do.
    """
    if not text.strip():
        raise FilterError(f'{_EXPECTED} ")" found.')
    parser = _Parser(_tokens(text))
    try:
        predicate = parser.either(parser.comparison)
    except RecursionError as error:
        raise FilterError("The filter is nested too deeply.") from error
    if parser.peek() is not None:
        raise FilterError(f'Expected AND, OR, end of input but "{parser.peek()}" found.')
    if types:
        check_keys(parser.keys, types)
    return predicate


def _tokens(text: str) -> list[str]:
    out, at = [], 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None:
            raise FilterError(f'{_EXPECTED} "{text[at:].strip()[:1]}" found.')
        out.append(match.group(0).strip())
        at = match.end()
    return out


class _Parser:
    """Recursive descent over the tokens of one filter."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.at = 0
        self.keys: list[str | None] = []  # None for a value without a field

    def peek(self, ahead: int = 0) -> str | None:
        """The token `ahead` of the present one."""
        place = self.at + ahead
        return self.tokens[place] if place < len(self.tokens) else None

    def take(self) -> str:
        """The next token, which must exist."""
        token = self.peek()
        if token is None:
            raise FilterError(f"{_EXPECTED} end of input found.")
        self.at += 1
        return token

    def keyword(self, word: str) -> bool:
        """Take the token when it is that word, in any case."""
        token = self.peek()
        if token is not None and token.lower() == word:
            self.at += 1
            return True
        return False

    def either(self, leaf: Leaf) -> Predicate:
        """`a or b`; a leaf is a comparison, or in the list of a field, a value."""
        parts = [self.both(leaf)]
        while self.keyword("or"):
            parts.append(self.both(leaf))
        return parts[0] if len(parts) == 1 else lambda a: any(part(a) for part in parts)

    def both(self, leaf: Leaf) -> Predicate:
        """`a and b`."""
        parts = [self.negated(leaf)]
        while self.keyword("and"):
            parts.append(self.negated(leaf))
        return parts[0] if len(parts) == 1 else lambda a: all(part(a) for part in parts)

    def negated(self, leaf: Leaf) -> Predicate:
        """`not a`, parentheses, or a leaf."""
        if self.keyword("not"):
            inner = self.negated(leaf)
            return lambda a: not inner(a)
        return self.group(leaf) if self.peek() == "(" else leaf()

    def group(self, leaf: Leaf) -> Predicate:
        """Parentheses."""
        self.take()
        inner = self.either(leaf)
        found = self.peek()
        if found is None:
            raise FilterError('Expected AND, OR, ")" but end of input found.')
        if found != ")":
            raise FilterError(f'Expected AND, OR, ")" but "{found}" found.')
        self.take()
        return inner

    def comparison(self) -> Predicate:
        """One field and what is asked of it."""
        field = self.take()
        if field in _PUNCTUATION:
            raise FilterError(f'{_EXPECTED} "{field[0]}" found.')
        if self.peek() not in _OPERATORS:
            return self.bare()
        self.keys.append(unescape(field))
        operator = self.take()
        if operator in {"<", ">", "<=", ">="}:
            return _ranged(unescape(field), operator, self.bound())
        if self.peek() == "{":
            raise FilterError('Expected "(", NOT, value, whitespace but "{" found.')
        return self.values(unescape(field))

    def bare(self) -> Predicate:
        """A value without a field: KQL has it, saved objects do not."""
        while self._more_words():
            self.take()
        following = self.peek()
        if following is not None and following.lower() not in {")", "and", "or"}:
            raise FilterError(f'Expected ":", "<", "<=", ">", ">=" but "{following}" found.')
        self.keys.append(None)
        return lambda _: False

    def values(self, field: str) -> Predicate:
        """What stands after the colon: a value, several words, or a list in parentheses."""
        if self.peek() == "(":
            return self.group(lambda: self.value(field))
        return self.value(field)

    def bound(self) -> str:
        """What a range ends at."""
        token = self.take()
        if token in _PUNCTUATION:
            raise FilterError(f'Expected literal, whitespace but "{token}" found.')
        return unescape(token[1:-1] if token.startswith('"') else token)

    def value(self, field: str) -> Predicate:
        """One value: unquoted words up to an operator belong together."""
        token = self.take()
        if token in _PUNCTUATION:
            raise FilterError(f'Expected "(", NOT, value, whitespace but "{token}" found.')
        if token.startswith('"'):
            return _equals(field, unescape(token[1:-1]), quoted=True)
        words = [token]
        while self._more_words():
            words.append(self.take())
        return _equals(field, " ".join(words), quoted=False)

    def _more_words(self) -> bool:
        token = self.peek()
        return (
            token is not None
            and token.lower() not in {"and", "or", "not"}
            and token[0] not in '():<>{}"'
            and self.peek(1) not in {":", "<", ">", "<=", ">="}
        )


def unescape(text: str) -> str:
    r"""Undo `\"`, `\\`, `\:` and their kind."""
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _equals(field: str, value: str, *, quoted: bool) -> Predicate:
    if not quoted and value == "*":
        return lambda a: bool(a(field))
    if field in _TEXT_FIELDS:
        return _text_match(field, value, quoted=quoted)
    if not quoted and "*" in re.sub(r"\\.", "", value):
        matches = wildcard(value)
        return lambda a: any(matches(_text(v)) for v in a(field))
    wanted = value if quoted else unescape(value)
    return lambda a: any(_text(v) == wanted for v in a(field))


def wildcard(pattern: str) -> Callable[[str], bool]:
    r"""A matcher for a pattern where `*` is any text and `\` escapes."""
    parts = re.split(r"((?:\\.)|\*)", pattern)
    source = "".join(".*" if part == "*" else re.escape(unescape(part)) for part in parts if part)
    compiled = re.compile(source, re.DOTALL)
    return lambda text: compiled.fullmatch(text) is not None


def _text_match(field: str, value: str, *, quoted: bool) -> Predicate:
    """Analysed text: a phrase when quoted, any of the words otherwise."""
    if not quoted and "*" in value:
        tests = [re.compile(translate(word.lower())) for word in value.split()]
        return lambda a: any(
            test.match(word) for v in a(field) for word in _words(_text(v)) for test in tests
        )
    wanted = _words(value)

    def phrase(words: list[str]) -> bool:
        return any(
            words[n : n + len(wanted)] == wanted for n in range(len(words) - len(wanted) + 1)
        )

    def matches(a: Attributes) -> bool:
        for found in a(field):
            words = _words(_text(found))
            if phrase(words) if quoted else bool(set(words) & set(wanted)):
                return True
        return False

    return matches


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _ranged(field: str, operator: str, bound: str) -> Predicate:
    def fits(value: Any) -> bool:
        try:
            left, right = (float(value), float(bound))
        except (TypeError, ValueError):
            left, right = _text(value), bound  # type: ignore[assignment] # both become text
        match operator:
            case "<":
                return left < right
            case "<=":
                return left <= right
            case ">":
                return left > right
            case _:
                return left >= right

    return lambda a: any(fits(value) for value in a(field))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def walk(value: Any, path: list[str]) -> list[Any]:
    """All values at a path; lists on the way fan out."""
    if isinstance(value, list):
        return [found for item in value for found in walk(item, path)]
    if not path:
        return [] if value is None else [value]
    if not isinstance(value, dict):
        return []
    return walk(value.get(path[0]), path[1:])


def snake(name: str) -> str:
    """`ruleId` as `rule_id`: the API's names for the saved object's camel-cased ones."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda m: f"_{m.group(1).lower()}", name)


# The saved-object type of every rule.
RULE_TYPES = ("alert",)


def attributes_of_rule(body: dict[str, Any]) -> Attributes:
    """How a filter sees a rule: `alert.attributes.params.*` and the root attributes."""

    def values(field: str) -> list[Any]:
        name = field.removeprefix("alert.attributes.").removesuffix(".keyword")
        match name:
            case "alert.id":
                return [f"alert:{body['id']}"]
            case "alert.created_at" | "alert.updated_at":
                return [body[name.removeprefix("alert.")]]
            case "alertTypeId":
                return [ALERTING_TYPES[body["type"]].id]
            case "consumer":
                return ["siem"]
            case "schedule.interval":
                return [body["interval"]]
        path = name.removeprefix("params.").removeprefix("mapped_params.").split(".")
        return walk(body, [snake(part) for part in path])

    return values


def attributes_of_list(body: dict[str, Any]) -> Attributes:
    """How a filter sees an exception list or item, in either namespace type."""

    def values(field: str) -> list[Any]:
        path = field.partition(".")[2].removeprefix("attributes.")
        if path == "list_type":
            return ["item" if "item_id" in body else "list"]
        return walk(body, path.split("."))

    return values
