"""Elasticsearch's `query_string`: Lucene's classic query syntax.

It is not a boolean grammar. A clause is required, optional or prohibited; AND makes the clauses
on both sides required, and optional clauses beside a required one decide nothing:
`a OR b AND c` asks for b and c alone. A query of prohibitions alone is true where none applies.
Words that stand side by side are one text: `f:(new york)` is the keyword "new york".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from dataclasses import field as new
from typing import NoReturn

from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.query import glob
from ruledeploy.query.ir import (
    ALWAYS,
    MAX_DEPTH,
    Exists,
    Glob,
    Leaf,
    Match,
    Matcher,
    Node,
    Phrase,
    Prefix,
    Range,
    Regexp,
    all_of,
    any_of,
    negate,
)
from ruledeploy.query.lucene_tokens import Token, tokenize, unescape

_EXISTS = "_exists_"
_BOUND = re.compile(r"([<>])(=(?=.))?(?=.)", re.DOTALL)
# A term that is followed by one of these is no part of a text of several words.
_NO_TEXT_BEFORE = frozenset({":", "star", "~", "^", "and", "or"})


@dataclass(slots=True)
class _Group:
    """The clauses between two parentheses, and what stood before the opening one."""

    field: str
    modifier: str = ""
    joined: str = ""
    at: int = 0
    clauses: list[tuple[str, Node]] = new(default_factory=list)

    def add(self, joined: str, modifier: str, node: Node) -> None:
        """Add a clause as Lucene's default operator OR does."""
        if joined == "and" and self.clauses and self.clauses[-1][0] != "-":
            self.clauses[-1] = ("+", self.clauses[-1][1])
        occur = modifier
        if joined == "and" and not modifier:
            occur = "+"
        self.clauses.append((occur, node))

    def node(self) -> Node:
        """The clauses as one node; prohibitions alone are read as "all but these"."""
        required = [node for occur, node in self.clauses if occur == "+"]
        optional = [node for occur, node in self.clauses if occur == ""]
        prohibited = [negate(node) for occur, node in self.clauses if occur == "-"]
        if required or not optional:
            return all_of(*required, *prohibited)
        return all_of(any_of(*optional), *prohibited)


@dataclass(frozen=True, slots=True)
class Options:
    """Parameters of `query_string`; the defaults are what Kibana sends for a Lucene rule.

    `lenient`: a value that a field's type cannot hold matches nothing. `analyze_wildcard`: a
    prefix of several words asks for the words.
    """

    default_field: str = "*"
    lenient: bool = True
    analyze_wildcard: bool = True


KIBANAS = Options()


def parse_lucene(text: str, options: Options = KIBANAS) -> Node:
    """The query as a node; a blank one is true of every document, as Kibana has it.

    A word without a field is looked for in the default one. Raises QueryError with the offset,
    and UnsupportedQuery for what asks for likeness instead of a match: fuzziness, proximity,
    boosts.
    """
    if not text.strip():
        return ALWAYS
    return _Parser(text, options).parse()


class _Parser:
    """One pass over the tokens with a stack of groups, so depth costs no Python frames."""

    def __init__(self, text: str, options: Options) -> None:
        self.tokens = tokenize(text)
        # Two more than there are, for whoever looks past the end.
        self.kinds = [*(token.kind for token in self.tokens), "end", "end"]
        self.options = options
        self.at = 0
        self.groups = [_Group(options.default_field)]

    @property
    def token(self) -> Token:
        """The token to read next."""
        return self.tokens[self.at]

    @property
    def kind(self) -> str:
        """The kind of the token to read next."""
        return self.kinds[self.at]

    def take(self) -> Token:
        """The next token, consumed."""
        token = self.tokens[self.at]
        self.at += 1
        return token

    def fail(self, token: Token) -> NoReturn:
        """Raise for a token that cannot stand where it does."""
        what = "the end of the query" if token.kind == "end" else repr(token.text)
        hint = None
        if token.kind in ("and", "or", "not"):
            hint = "a value that is spelled like an operator must be quoted"
        raise QueryError(f"unexpected {what} at {token.at}", position=token.at, hint=hint)

    def parse(self) -> Node:
        """Read clauses until the end; every group must be closed by then."""
        while True:
            joined = self.conjunction()
            kind = self.kind
            if kind == ")":
                self.close(joined)
            elif kind == "end":
                break
            else:
                self.clause(joined)
        group = self.groups.pop()
        if self.groups:
            raise QueryError(f"( at {group.at} is not closed", position=group.at)
        if joined or not group.clauses:
            self.fail(self.token)
        return group.node()

    def conjunction(self) -> str:
        """`and`, `or` or nothing; never before the first clause of a group."""
        if self.kind not in ("and", "or"):
            return ""
        if not self.groups[-1].clauses:
            self.fail(self.token)
        return self.take().kind

    def close(self, joined: str) -> None:
        """End a group, which becomes one clause of the group around it."""
        token = self.take()
        group = self.groups[-1]
        if joined or not group.clauses or len(self.groups) == 1:
            self.fail(token)
        self.refuse_boost()
        self.groups.pop()
        self.groups[-1].add(group.joined, group.modifier, group.node())

    def clause(self, joined: str) -> None:
        """Read a modifier, a field, and a term or the start of a group."""
        group = self.groups[-1]
        kind, after = self.kinds[self.at : self.at + 2]
        if not joined and kind == after == "term":
            words = self.words()
            if words:
                group.add("", "", self.word(group.field, " ".join(words)))
                return
        modifier = ""
        if kind in ("+", "-", "not"):
            modifier = "+" if self.take().kind == "+" else "-"
            kind, after = self.kinds[self.at : self.at + 2]
        name = group.field
        if after == ":" and kind in ("term", "star"):
            token = self.take()
            name = "*" if kind == "star" else unescape(token.text, token.at)
            self.take()
        if self.kind == "(":
            at = self.take().at
            if len(self.groups) > MAX_DEPTH:
                raise UnsupportedQuery(f"parentheses nested deeper than {MAX_DEPTH}", position=at)
            self.groups.append(_Group(name, modifier, joined, at))
            return
        group.add(joined, modifier, self.term(name))

    def words(self) -> list[str]:
        """Two or more words side by side, consumed; none if they are not one text."""
        end = self.at + 1
        while self.kinds[end] == "term" and self.kinds[end + 1] not in _NO_TEXT_BEFORE:
            end += 1
        if end == self.at + 1:
            return []
        found = self.tokens[self.at : end]
        self.at = end
        return [unescape(token.text, token.at) for token in found]

    def term(self, name: str) -> Node:
        """One value: a word, a pattern, a quoted text, a regular expression or a range."""
        token = self.take()
        match token.kind:
            case "term":
                node = self.word(name, unescape(token.text, token.at))
            case "bare":
                node = self.leaf(name, Match(token.text[0]))
            case "star":
                node = ALWAYS if name == "*" else self.leaf(name, Exists())
            case "prefix":
                node = self.leaf(name, self.prefix(unescape(token.text[:-1], token.at)))
            case "wild":
                node = self.leaf(name, Glob(token.text, analysed=True))
            case "quoted":
                node = self.leaf(name, Phrase(unescape(token.text[1:-1], token.at)))
            case "regexp":
                node = self.leaf(name, Regexp(token.text[1:-1], analysed=True))
            case "[" | "{":
                node = self.range(name, token)
            case _:
                self.fail(token)
        self.refuse_likeness()
        return node

    def leaf(self, name: str, matcher: Matcher) -> Node:
        """A leaf; `_exists_` asks for a field instead."""
        if name == _EXISTS and isinstance(matcher, Match | Phrase):
            return Leaf(str(matcher.value), Exists(), lenient=self.options.lenient)
        return Leaf(name, matcher, lenient=self.options.lenient)

    def prefix(self, text: str) -> Matcher:
        """A prefix, split into words or not."""
        if self.options.analyze_wildcard:
            return Prefix(text, analysed=True)
        return Glob(glob.escape(text) + "*", analysed=True)

    def word(self, name: str, value: str) -> Node:
        r"""A bare word. After unescaping, a leading < or > makes a range even where it was escaped.

        That is Elasticsearch's own trap: `f:\>10` is `f > 10`, only `f:">10"` is the text.
        """
        found = _BOUND.match(value)
        if found is None or name == _EXISTS:
            return self.leaf(name, Match(value))
        rest, inclusive = _open(value[found.end() :]), bool(found[2])
        if found[1] == ">":
            return self.leaf(name, Range(rest, None, include_lower=inclusive, analysed=True))
        return self.leaf(name, Range(None, rest, include_upper=inclusive, analysed=True))

    def range(self, name: str, opening: Token) -> Node:
        """`[low TO high]`, braces excluding the bound, `*` leaving it open."""
        low, to, high, closing = (self.take() for _ in range(4)) if self.has(4) else (None,) * 4
        if (
            low is None
            or to is None
            or high is None
            or closing is None
            or low.kind not in ("goop", "quoted")
            or to.text != "TO"
            or high.kind not in ("goop", "quoted")
            or closing.kind not in ("]", "}")
        ):
            raise QueryError(f"range at {opening.at} is not [low TO high]", position=opening.at)
        matcher = Range(
            _bound(low),
            _bound(high),
            include_lower=opening.kind == "[",
            include_upper=closing.kind == "]",
            analysed=True,
        )
        return self.leaf(name, matcher)

    def has(self, count: int) -> bool:
        """Whether so many tokens are left before the end."""
        return self.at + count < len(self.tokens)

    def refuse_likeness(self) -> None:
        """Refuse `~` and `^` after a term."""
        if self.kind == "~":
            raise UnsupportedQuery(
                f"fuzziness or proximity ({self.token.text}) at {self.token.at}",
                position=self.token.at,
                hint="escape the ~ if it is part of the value",
            )
        self.refuse_boost()

    def refuse_boost(self) -> None:
        """Refuse `^`, which changes scores and no match."""
        if self.kind == "^":
            raise UnsupportedQuery(
                f"boost (^) at {self.token.at}", position=self.token.at, hint="leave it out"
            )


def _bound(token: Token) -> str | None:
    """A bound; a star is open even where it is quoted or escaped."""
    text = token.text[1:-1] if token.kind == "quoted" else token.text
    return _open(unescape(text, token.at))


def _open(bound: str) -> str | None:
    return None if bound == "*" else bound
