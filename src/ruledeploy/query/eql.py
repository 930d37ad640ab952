"""EQL: an event category and a condition on one event.

Sequences, samples, joins and pipes are refused by name: they decide on several events together, or
on which of them come first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.query import eql_logic as logic
from ruledeploy.query.cursor import Token
from ruledeploy.query.eql_logic import NULL, Field, Literal, Operand, Test
from ruledeploy.query.eql_tokens import KEYWORDS, Clause, EqlCursor, tokenize
from ruledeploy.query.ir import (
    ALWAYS,
    MAX_DEPTH,
    NEVER,
    AnyOf,
    Glob,
    Leaf,
    Node,
    Prefix,
    Scalar,
    Term,
    all_of,
)
from ruledeploy.query.kql import Types

EVENT_CATEGORY = "event.category"
_SEVERAL = ("sequence", "sample", "join")
_AFTER = ("by", "until", "with")
_LINEAGE = ("child", "descendant", "event")
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
_PATTERNS = (":", "like", "like~", "regex", "regex~")
# Functions that compute a value: what they ask cannot be told from the index.
_COMPUTING = frozenset(
    {
        *("add", "between", "concat", "divide", "indexof", "modulo", "multiply", "number"),
        *("substring", "subtract"),
    }
)
_CASE_AWARE = frozenset({"startswith", "endswith", "stringcontains", "between", "indexof"})


def parse_eql(text: str, types: Types | None = None) -> Node:
    """What the query asks. Raises QueryError with an offset, UnsupportedQuery naming a construct.

    `types` gives the type of every field there is: an unknown one is an error then, unless it is
    optional (`?field`), and a comparison must suit its field. Without, every field is taken to be
    there.
    """
    try:
        return _Parser(tokenize(text, clauses=True), types).query()
    except QueryError:
        # What looks like a clause may be none, and what is wrong in one has its own place.
        return _Parser(tokenize(text), types).query()


class _Parser(EqlCursor):
    """Recursive descent: or, and, not, then one comparison."""

    def __init__(self, tokens: list[Token], types: Types | None) -> None:
        super().__init__(tokens)
        self.types = types
        self.depth = 0

    # ----------------------------------------------------------------------------------- query

    def query(self) -> Node:
        """`category where condition`, and nothing after it."""
        category = self.category()
        if not self.accept("where"):
            self.fail("a query is: category where condition; any where … for every category")
        start = self.token.at
        found = logic.truth(self.condition(), start)
        self.end()
        return NEVER if found is None else all_of(category, found)

    def category(self) -> Node:
        """The event category; `any` is every event, with one or without."""
        token = self.take()
        if token.sign in _SEVERAL:
            self.refuse(token.text, token, "a rule here decides on one event")
        if token.sign == "any":
            return ALWAYS
        if token.kind == "string" or (token.kind == "name" and token.text not in KEYWORDS):
            field = self.known(EVENT_CATEGORY, token.at, optional=False)
            return logic.ask(field, Term(token.text)) if isinstance(field, Field) else NEVER
        hint = "a query is: category where condition; any where … for every category"
        return self.fail(hint, token)

    def end(self) -> None:
        """Raise unless the query ends here."""
        token = self.token
        if token.sign == "|":
            self.refuse(f"pipe {self.following.text}", token, "a rule's alerts are not cut off")
        if token.sign in _AFTER:
            self.refuse(f"`{token.text}`", token, "it belongs to sequences, which are not read")
        if token.sign in ("AND", "OR", "NOT"):
            self.fail(f"write {token.text.lower()}")
        if token.kind != "end":
            self.fail()

    # ------------------------------------------------------------------------------ conditions

    def condition(self) -> Operand:
        """`a and b or not c`: not binds closest, then and. One operand alone stays what it is."""
        options: list[Operand] = []
        start = self.token.at
        while True:
            parts = [self.part()]
            while self.accept("and"):
                parts.append(self.part())
            both = [logic.truth(part, start) for part in parts] if len(parts) > 1 else []
            options.append(Test(logic.conjunction(both)) if both else parts[0])
            if not self.accept("or"):
                break
        if len(options) == 1:
            return options[0]
        return Test(logic.disjunction(logic.truth(option, start) for option in options))

    def part(self) -> Operand:
        """One comparison, with the `not` before it."""
        start = self.token
        turned = False
        while self.accept("not"):
            turned = not turned
        found = self.comparison()
        if start.sign != "not":
            return found
        node = logic.truth(found, start.at)
        return Test(logic.negation(node) if turned else node)

    def comparison(self) -> Operand:
        """An operand alone, or two of them compared."""
        start = self.token
        if isinstance(start, Clause):
            return Test(self.clause(start))
        if start.sign in _LINEAGE and self.following.sign == "of":
            self.refuse(f"`{start.text} of`", start, "Elasticsearch has no lineage of processes")
        left = self.operand()
        sign = self.token
        if not self.accept(*_COMPARISONS):
            if sign.sign == "=":
                self.fail("write ==")
            return left
        right = self.operand()
        if self.token.sign in _COMPARISONS:
            self.fail("comparisons are not chained: join them with and")
        return Test(logic.compare(left, sign.text, right, sign.at))

    def clause(self, clause: Clause) -> Node | None:
        """A comparison that is one token, read as it is read from several."""
        if not _is_name(clause.column):
            self.fail()
        field, at = self.known(clause.column, clause.at, optional=clause.optional), clause.at
        match clause.sign:
            case "==" if not clause.listed:
                found = logic.compare(field, "==", Literal(clause.texts[0]), at)
            case "in" if clause.listed:
                found = self.asked(field, "in", clause.texts, fold=False, at=at)
            case ":" | "like":
                found = self.asked(field, "like", clause.texts, fold=clause.sign == ":", at=at)
            case _:
                self.fail()
        self.take()
        return found

    # -------------------------------------------------------------------------------- operands

    def operand(self) -> Operand:
        """A constant, a field, a function, a condition in parentheses; then `in`, `like`, `:`."""
        found = self.predicate(self.primary())
        if self.token.sign in ("+", "-", "*", "/", "%"):
            self.refuse(f"arithmetic {self.token.text}", self.token)
        return found

    def primary(self) -> Operand:
        """What stands before a predicate."""
        token = self.token
        if token.sign == "(":
            return self.parenthesis()
        if token.kind in ("string", "number") or token.sign in ("-", "+"):
            return Literal(self.constant())
        if token.sign in ("true", "false", "null"):
            return Literal(self.constant())
        if token.kind == "name" and self.following.sign == "(":
            return self.function()
        return self.field()

    def parenthesis(self) -> Operand:
        """`(condition)`, or a value in parentheses."""
        start = self.take()
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.refuse(f"condition nested deeper than {MAX_DEPTH}", start)
        found = self.condition()
        self.expect_op(")")
        self.depth -= 1
        return found

    def constant(self) -> Scalar | None:
        """A literal string, number, boolean or null."""
        negative = self.token.sign == "-"
        if self.accept("-", "+") and self.token.kind != "number":
            self.refuse("arithmetic", self.token)
        token = self.take()
        match token.kind:
            case "string":
                return token.text
            case "number":
                text = f"-{token.text}" if negative else token.text
                return float(text) if re.search(r"[.eE]", text) else int(text)
        if token.sign in ("true", "false"):
            return token.text == "true"
        if token.sign == "null":
            return None
        return self.fail('a constant expected: "text", a number, true, false or null', token)

    def field(self) -> Operand:
        """A field by name; null where it is optional and not there."""
        start = self.token
        optional = bool(self.accept("?"))
        if optional and self.token.kind == "string":
            self.fail('raw text is written """…"""')
        parts = []
        while True:
            token = self.token
            if token.kind == "name" and token.text.endswith("~"):
                self.fail("a field's name expected")
            if token.kind == "name" and token.text in KEYWORDS:
                self.fail(f"a field's name expected; a part that is a keyword: `{token.text}`")
            if token.kind not in ("name", "quoted"):
                self.fail("a field's name expected")
            parts.append(self.take().text)
            if self.token.sign == "[":
                self.refuse("array access", self.token, "any value of a field counts")
            if not self.accept("."):
                return self.known(".".join(parts), start.at, optional=optional)

    def known(self, name: str, at: int, *, optional: bool) -> Operand:
        """The field, if it is there."""
        if self.types is None:
            return Field(name, at, None, name)
        type_ = self.types(name)
        if type_ is not None:
            return logic.checked(name, at, type_, self.types(f"{name}.keyword"))
        if optional:
            return NULL
        raise QueryError(
            f"unknown column {name} at {at}",
            position=at,
            hint=f"check the spelling; a field that need not be there is written ?{name}",
        )

    # ------------------------------------------------------------------------------ predicates

    def predicate(self, left: Operand) -> Operand:
        """`in (…)`, `: "…"`, `like "…"` and `regex "…"`, each with a list too."""
        token = self.token
        turned = token.sign == "not" and self.following.sign in ("in", "in~")
        if token.sign == "not" and not turned:
            self.fail("write not before the field")
        if turned:
            self.take()
            token = self.token
        if token.sign in ("in", "in~"):
            self.take()
            values = self.constants()
            found = self.asked(left, "in", values, fold=token.text == "in~", at=token.at)
            return Test(logic.negation(found)) if turned else Test(found)
        if token.sign in _PATTERNS:
            self.take()
            values = self.constants() if self.token.sign == "(" else [self.constant()]
            kind = "regex" if token.text.startswith("regex") else "like"
            fold = token.text == ":" or token.text.endswith("~")
            return Test(self.asked(left, kind, values, fold=fold, at=token.at))
        return left

    def asked(
        self, left: Operand, kind: str, values: Sequence[Scalar | None], *, fold: bool, at: int
    ) -> Node | None:
        """The comparison of a field with some constants; of null it is null."""
        match left:
            case Literal(None):
                return None
            case Field():
                match kind:
                    case "in":
                        return logic.among(left, values, fold=fold, at=at)
                    case "like":
                        return logic.like(left, values, fold=fold, at=at)
                    case _:
                        return logic.regex(left, values, fold=fold, at=at)
            case _:
                raise UnsupportedQuery(f"EQL comparison of what is no field at {at}", position=at)

    def constants(self) -> list[Scalar | None]:
        """`(constant, constant, …)`."""
        self.expect_op("(")
        out: list[Scalar | None] = []
        while True:
            if self.token.kind == "name" and self.following.sign == "(":
                self.refuse(f"function {self.token.text} in a list", self.token)
            if self.token.kind in ("name", "quoted") and self.token.sign not in (
                "true",
                "false",
                "null",
            ):
                self.fail("a list holds constants; EQL compares no field with a field")
            out.append(self.constant())
            if not self.accept(","):
                self.expect_op(")")
                return out

    # ------------------------------------------------------------------------------- functions

    def function(self) -> Operand:
        """A function, by its name in any letter case; `~` ignores that of its strings."""
        token = self.take()
        name, fold = token.text.lower().removesuffix("~"), token.text.endswith("~")
        if fold and name not in _CASE_AWARE:
            raise QueryError(f"{token.text} at {token.at}: no ~ on it", position=token.at)
        match name:
            case "startswith" | "endswith" | "stringcontains":
                return self.affix(name, token, fold=fold)
            case "cidrmatch":
                field, networks = self.arguments(token)
                return Test(_in_networks(field, networks, token))
            case "length" | "string":
                field, _ = self.arguments(token, 0)
                return logic.applied(field, name, token.at) if isinstance(field, Field) else NULL
            case "wildcard" | "match" | "matchlite":
                hint = "write like~ or :" if name == "wildcard" else "write regex~"
                raise QueryError(
                    f"Elasticsearch has no function {name} (at {token.at})",
                    position=token.at,
                    hint=hint,
                )
            case _ if name in _COMPUTING:
                return self.refuse(f"function {token.text}", token)
            case _:
                raise QueryError(f"unknown function {token.text} at {token.at}", position=token.at)

    def affix(self, name: str, token: Token, *, fold: bool) -> Test:
        """`startsWith` is a prefix query; the other two are wildcard queries of their text.

        Elasticsearch does not escape that text: `*`, `?` and a backslash in it are not literal.
        """
        field, values = self.arguments(token, 1)
        if not isinstance(field, Field):
            return Test(None)
        (text,) = logic.texts(field, values, token.at)
        match name:
            case "startswith":
                return Test(logic.ask(field, Prefix(text, fold=fold)))
            case "endswith":
                return Test(logic.ask(field, Glob(f"*{text}", fold=fold)))
            case _:
                return Test(logic.ask(field, Glob(f"*{text}*", fold=fold)))

    def arguments(
        self, token: Token, count: int | None = None
    ) -> tuple[Field | Literal, list[Scalar | None]]:
        """The field (or null) and the constants of a function; `count` None is at least one."""
        self.expect_op("(")
        first = self.operand()
        if not isinstance(first, Field) and first != NULL:
            self.refuse(f"{token.text} of what is no field", token)
        values: list[Scalar | None] = []
        while self.accept(","):
            other = self.operand()
            if not isinstance(other, Literal):
                self.refuse(f"{token.text} of more than one field", token)
            values.append(other.value)
        self.expect_op(")")
        if (count is not None and len(values) != count) or (count is None and not values):
            wanted = "a field" + (f" and {count or 'some'} constant" if count != 0 else "")
            raise QueryError(f"{token.text} at {token.at} takes {wanted}", position=token.at)
        return first if isinstance(first, Field) else NULL, values


def _in_networks(
    field: Field | Literal, networks: list[Scalar | None], token: Token
) -> Leaf | None:
    """An address in one of the networks."""
    if not isinstance(field, Field):
        return None
    if field.type not in (None, "ip"):
        raise QueryError(
            f"{token.text} at {token.at} asks for an address, but {field.name} is {field.type}",
            position=token.at,
        )
    if not all(isinstance(network, str) for network in networks):
        raise QueryError(f"{token.text} at {token.at} takes strings", position=token.at)
    return logic.ask(field, AnyOf(tuple(network for network in networks if network is not None)))


@lru_cache(maxsize=4096)
def _is_name(column: str) -> bool:
    """Whether a field may be written without backquotes."""
    return KEYWORDS.isdisjoint(column.split("."))
