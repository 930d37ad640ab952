"""Generated worlds for the engines: mappings, documents and queries out of nasty alphabets.

Everything comes from one `random.Random`, so a seed names a world for ever. Queries are built from
the values of the documents, so that they match often enough to tell two engines apart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from ruledeploy.engine import Document, EngineRule
from ruledeploy.query.text import lower, words
from support.engine_values import (
    ADDRESSES,
    ALPHABET,
    CONTRARY,
    DATE_MATH,
    DATES,
    ESQL_DEPTH,
    HUGE_TEXTS,
    MAPPED_NETWORK,
    NETWORKS,
    NO_ADDRESSES,
    NORMALIZED,
    NUMBER_TEXTS,
    NUMBERS,
    NUMERIC,
    ODD_DATES,
    QUERYABLE,
    STRINGS,
    TEXTS,
    WORDED,
)


@dataclass(frozen=True, slots=True)
class Case:
    """One rule to run over the documents of a world."""

    rule: EngineRule

    @property
    def text(self) -> str:
        """The query, or the items where there is no query."""
        items = json.dumps(list(self.rule.items), ensure_ascii=False) if self.rule.items else ""
        return f"{self.rule.language}: {self.rule.query} {items}".strip()


@dataclass(slots=True)
class Generator:
    """Makes documents and queries; `index` is the name that ES|QL queries read from."""

    random: Random
    index: str = "generated"
    # Only values that the types take: what else a query asks may decide before one is looked at.
    sound: bool = False
    # Whether the query may still get what cannot hold together: of two the optimizer factors out.
    contrary: bool = True

    # ------------------------------------------------------------------------------ documents

    def documents(self, count: int) -> list[Document]:
        """Documents whose values every type of FIELDS accepts."""
        return [Document(self.index, f"d{n}", self.source(n)) for n in range(count)]

    def source(self, number: int) -> dict[str, Any]:
        """One event; each field missing, null, single or an array."""
        out: dict[str, Any] = {"@timestamp": f"2026-01-05T00:00:{number % 60:02d}Z"}
        for field in (
            "k",
            "brief",
            "name",
            "low",
            "line",
            "t",
            "msg",
            "ip",
            *NUMERIC,
            "flag",
            "at",
            "other",
        ):
            if self.random.random() < 0.6:
                self.place(out, field, self.many(partial(self.value, field)))
        if self.random.random() < 0.5:
            out["flat"] = {"key": self.text(200), "other": [self.text(200)]}
        elif self.random.random() < 0.2:
            out["flat.key"] = self.text(200)
        if self.random.random() < 0.1:
            # A key with a dot is a nested object of its own.
            out["sub.k"] = self.many(lambda: self.text(200))
            out["sub.n"] = self.random.choice([1, 5, 12])
        if self.random.random() < 0.6:
            out["sub"] = [
                {
                    "k": self.many(lambda: self.text(200)),
                    "n": self.random.choice([1, 5, 12]),
                    "ip": self.many(partial(self.value, "ip")),
                    "t": self.many(lambda: self.text(50)),
                }
                for _ in range(self.random.randint(1, 3))
            ]
        return out

    def place(self, out: dict[str, Any], field: str, value: Any) -> None:
        """Write a field dotted or nested."""
        if "." in field and self.random.random() < 0.5:
            above, _, below = field.partition(".")
            inner = out.setdefault(above, {})
            if isinstance(inner, dict):
                inner[below] = value
                return
        out[field] = value

    def many(self, make: Callable[[], Any]) -> Any:
        """One value, several, or none in one of the ways JSON has for it."""
        kind = self.random.random()
        if kind < 0.65:
            return make()
        if kind < 0.9:
            return [make() for _ in range(self.random.randint(1, 3))]
        return self.random.choice([None, [], [None], [None, make()]])

    def value(self, field: str) -> Any:
        """A value that the field's type accepts."""
        random = self.random
        match field:
            case "ip":
                return random.choice(ADDRESSES)
            case "flag":
                return random.choice([True, False, "true", "false", ""])
            case "at":
                return random.choice([*DATES, 1767607200000, -1, 0])
            case "n.byte":
                return random.choice([0, 1, -1, 5, 12, "12", 12.7, 127])
            case "n.short" | "n.half":
                return random.choice([0, 1, -1, 5, 12, 128, "12", 12.7, 0.1])
            case "n.int" | "n.unsigned":
                return random.choice([0, 1, 5, 12, 128, 2**31 - 1, "12"])
            case "n.long":
                return random.choice([*NUMBERS, "12", "12.7", "-0", "007"])
            case "n.double" | "n.float":
                return random.choice([*NUMBERS, "12", "0.1", 1e-7, 1e19])
            case "other":
                return self.text(50)
            case _:
                return random.choice([*TEXTS, self.text(), self.text(), 5, 1.5, True])

    def text(self, limit: int = 10**6) -> str:
        """A text from the list or a random one, at most `limit` characters."""
        if self.random.random() < 0.75:
            return self.random.choice([text for text in TEXTS if len(text) <= limit])
        return "".join(self.random.choices(ALPHABET, k=self.random.randint(1, 8)))

    # --------------------------------------------------------------------------------- Lucene

    def lucene(self, depth: int = 2) -> str:
        """A query in Lucene's syntax, most of them valid."""
        random = self.random
        if depth == 0 or random.random() < 0.35:
            return self.lucene_leaf()
        parts = [self.lucene(depth - 1) for _ in range(random.randint(1, 3))]
        out = random.choice(["", "", "NOT ", "-", "+"]) + parts[0]
        for part in parts[1:]:
            joint = random.choice([" AND ", " AND ", " OR ", " OR ", " ", " && ", " || "])
            out += joint + random.choice(["", "", "", "NOT ", "-", "+", "!"]) + part
        return f"({out})" if random.random() < 0.7 else out

    def lucene_leaf(self) -> str:
        """One clause."""
        random = self.random
        field = random.choice(QUERYABLE)
        value = self.query_text(field)
        kind = random.randint(0, 11)
        match kind:
            case 0 | 1:
                return f"{field}:{escaped(value)}"
            case 2 | 3:
                return f"{field}:" + '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
            case 4 | 5 | 6:
                pattern = self.pattern(value, escaped)
                return f"{field}:{pattern if words(pattern) else 'a' + pattern}"
            case 7:
                return f"{field}:/{self.regexp(value)}/"
            case 8:
                low, high = (self.bound(field) for _ in range(2))
                return f"{field}:{random.choice('[{')}{low} TO {high}{random.choice(']}')}"
            case 9:
                return f"{field}:{random.choice(['>', '<', '>=', '<='])}{escaped(value)}"
            case 10:
                name = random.choice([*QUERYABLE, "n", "sub", "sub.k", "flat"])
                return random.choice([f"_exists_:{name}", f"{name}:*"])
            case _:
                other = escaped(self.query_text(field)) or "a"
                return random.choice(
                    [
                        f"{field}:({escaped(value)} {other})",
                        f"{field}:({escaped(value)} OR {other})",
                        f"{field}:(+{escaped(value) or 'a'} -{other})",
                        f"{field}:(>={escaped(value) or '1'} AND <{other})",
                        f"{field}:{uncoded(value)}",
                        f"sub.k:{escaped(value)}",
                        f"na\\*:{escaped(value)}",
                        f"_id:{random.choice(['d1', 'd*', '(d2 OR d3)', '/d1/', '[d1 TO d3]'])}",
                        escaped(value),
                    ]
                )

    def bound(self, field: str) -> str:
        """A bound of a range: escaped, quoted or open."""
        text = self.query_text(field)
        match self.random.randint(0, 3):
            case 0:
                return "*"
            case 1 if text:
                return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
            case _:
                return escaped(text) or "*"

    def query_text(self, field: str) -> str:
        """A value to ask the field for, now and then one its type does not take."""
        random = self.random
        if random.random() < 0.08 and not self.sound:
            text = self.text(100)
            return text if words(text) or field not in WORDED else "a"
        odd = random.random() < 0.15 and not self.sound
        if field in ("ip", "sub.ip"):
            mapped = [] if self.sound else [MAPPED_NETWORK]
            return random.choice(NO_ADDRESSES if odd else [*ADDRESSES, *NETWORKS, *mapped])
        if field == "at":
            return random.choice(ODD_DATES if odd else [*DATES, *DATES, *DATE_MATH])
        if field == "flag":
            return random.choice(["true", "false"] if self.sound else ["true", "False", "x"])
        if field.startswith("n."):
            plain = [*map(str, NUMBERS[:5] if self.sound else NUMBERS)]
            options = plain if self.sound else [*plain, *NUMBER_TEXTS]
            return random.choice(HUGE_TEXTS if odd else options)
        text = self.text(1100)
        # A text without words takes its clause out of a query: told in docs/engine.md.
        return text if words(text) or field not in WORDED else "a"

    def pattern(self, value: str, escape: Callable[[str], str], *, keep_case: bool = False) -> str:
        """The value with some of it replaced by wildcards, the case sometimes changed."""
        random = self.random
        if len(value) > 40:
            value = value[:5]
        if random.random() < 0.2 and not keep_case:
            value = value.swapcase()
        at = random.randint(0, len(value))
        kind = random.randint(0, 4)
        match kind:
            case 0:
                return escape(value[:at]) + "*"
            case 1:
                return "*" + escape(value[at:])
            case 2:
                return "*" + escape(value[at : at + 4]) + "*"
            case 3:
                return escape(value[:at]) + "?" + escape(value[at + 1 :])
            case _:
                return (
                    escape(value[:at])
                    + "*"
                    + escape(value[at + 2 :])
                    + random.choice(["", "*", "?"])
                )

    def regexp(self, value: str) -> str:
        """A Lucene regular expression near the value."""
        random = self.random
        if len(value) > 40:
            return random.choice(["x{24}x*", "x+", "[xX]{20,900}"])
        quoted = re.sub(r"([^A-Za-z0-9 _\-])", r"\\\1", value).replace("\\\n", "\n")
        at = random.randint(0, len(value))
        head = re.sub(r"([^A-Za-z0-9 _\-])", r"\\\1", value[:at])
        extra = random.choice(
            [
                "~(abc)",
                "@",
                "#",
                '"a b"',
                "<1-20>",
                r"\d+",
                r"\w+",
                r"\S*",
                "[^a]*",
                "[a-c]+",
                "()",
            ]
        )
        return random.choice(
            [quoted, head + ".*", head + ".+", f"({quoted}|b)", head + "[^z]?.{0,3}", extra]
        )

    # --------------------------------------------------------------------------------- ES|QL

    def esql(self) -> str:
        """A query that keeps rows of the index."""
        self.contrary = True
        condition = self.esql_condition(ESQL_DEPTH)
        return f"from {self.index} metadata _id | where {condition}"

    def esql_condition(self, depth: int) -> str:
        """A condition."""
        random = self.random
        if depth == 0 or random.random() < 0.4:
            return self.esql_leaf(compound=depth < ESQL_DEPTH)
        parts = [self.esql_condition(depth - 1) for _ in range(random.randint(1, 3))]
        out = random.choice(["", "not "]) + f"({parts[0]})"
        for part in parts[1:]:
            out += random.choice([" and ", " or "]) + random.choice(["", "not "]) + f"({part})"
        return out

    def esql_leaf(self, *, compound: bool = False) -> str:
        """One comparison, of types that go together."""
        random = self.random
        kind = random.random()
        if kind < 0.12:
            # A text below a keyword that is too long is null to some: see docs/engine.md.
            options = [name for name in STRINGS if not (compound and name == "name.text")]
            field = random.choice([*options, *NUMERIC, "ip", "at", "flag"])
            return f"{field} is {random.choice(['', 'not '])}null"
        if kind < 0.17 and compound and self.contrary:
            self.contrary = False
            # What cannot hold together; what is null and compared: see docs/engine.md.
            field = random.choice(["k", "t", "line"])
            value = quoted(random.choice(CONTRARY))
            return random.choice(
                [
                    f"{field} == {value} and {field} > {quoted(random.choice(CONTRARY))}",
                    f"{field} == {value} and {field} in ({quoted(random.choice(CONTRARY))})",
                    f"n.long == {random.choice([1, 5, 12])} and n.long {sign_of(random)} 5",
                ]
            )
        if kind < 0.25:
            return self.esql_other(compound=compound)
        field = random.choice([name for name in STRINGS if not (compound and name == "name.text")])
        value = self.text(1100)
        if field in NORMALIZED:
            value = lower(value)  # else it depends on whether the comparison reaches the index
        operand = random.choice([field, field, field, f"to_lower({field})", f"to_upper({field})"])
        match random.randint(0, 6):
            case 0 | 1:
                return f"{operand} {random.choice(['==', '!='])} {quoted(value)}"
            case 2:
                among = f"({quoted(value)}, {quoted(self.text(50) + 'z')})"
                return f"{operand} {random.choice(['', 'not '])}in {among}"
            case 3 | 4:
                pattern = self.pattern(value, escape_like, keep_case=field in NORMALIZED)
                return f"{operand} {random.choice(['', 'not '])}like {quoted(pattern)}"
            case 5:
                # An escaped İ is an escaped i to a normalizer, and that is no regular expression.
                normalized = field in NORMALIZED
                regexp = self.regexp(value.replace("\u0130", "") if normalized else value)
                return f"{operand} rlike {quoted(lower(regexp) if normalized else regexp)}"
            case _:
                name = random.choice(["starts_with", "ends_with"])
                return f"{name}({operand}, {quoted(value[: random.randint(0, 5)])})"

    def esql_other(self, *, compound: bool) -> str:
        """A comparison of numbers, dates, addresses or booleans."""
        random = self.random
        sign = random.choice(["==", "!=", "<", "<=", ">", ">="])
        match random.randint(0, 3):
            case 0:
                field = random.choice([name for name in NUMERIC if name != "n.unsigned"])
                # 0.1 is another number in a float's index than among the values it is read as.
                fractions = [] if compound else [12.7, 0.1]
                return f"{field} {sign} {random.choice([0, 1, -1, 5, 12, 1.5, 128, *fractions])}"
            case 1:
                return f"at {sign} {quoted(random.choice([d for d in DATES if '-' in d[1:]]))}"
            case 2:
                return random.choice(
                    [
                        f'cidr_match(ip, "{random.choice(NETWORKS)}", "10.0.0.9/32")',
                        f"ip {random.choice(['==', '!='])} {quoted(random.choice(ADDRESSES))}",
                        f'ip == to_ip("{random.choice(ADDRESSES)}")',
                    ]
                )
            case _:
                return random.choice(
                    ["flag == true", "flag != true", "flag == false", "not flag == true", "flag"]
                )

    # ------------------------------------------------------------------------------- exceptions

    def items(self) -> tuple[dict[str, Any], ...]:
        """One to three exception items."""
        sizes = [self.random.randint(1, 2) for _ in range(self.random.randint(1, 3))]
        self.sound = self.sound or sum(sizes) > 1
        return tuple(
            {"item_id": f"i{n}", "entries": [self.entry() for _ in range(size)]}
            for n, size in enumerate(sizes)
        )

    def entry(self) -> dict[str, Any]:
        """One entry."""
        random = self.random
        if random.random() < 0.15:
            inside = ["k", "n", "k.caseless", "ip", "t"]
            inner = [self.plain_entry(f) for f in random.sample(inside, 2)]
            return {"type": "nested", "field": "sub", "entries": inner[: random.randint(1, 2)]}
        return self.plain_entry(
            random.choice([*STRINGS, *STRINGS, *NUMERIC, "ip", "flag", "at", "unmapped"])
        )

    def plain_entry(self, field: str) -> dict[str, Any]:
        """An entry on one field."""
        random = self.random
        out: dict[str, Any] = {
            "field": field,
            "operator": random.choice(["included", "included", "excluded"]),
        }

        def ask() -> str:
            return random.choice(["1", "5"]) if field == "n" else self.query_text(field)

        if field == "t":
            return out | {"type": "match", "value": self.query_text("t")}

        match random.randint(0, 3):
            case 0:
                return out | {"type": "match", "value": ask()}
            case 1:
                return out | {
                    "type": "match_any",
                    "value": [ask() for _ in range(random.randint(1, 3))],
                }
            case 2 if field in STRINGS or field.startswith("k"):
                pattern = self.pattern(ask(), escape_like)
                return out | {"type": "wildcard", "value": random.choice([pattern, ask()])}
            case _:
                return out | {"type": "exists"}

    def kql(self, depth: int = 2) -> str:
        """A query in Kibana's language; values are quoted unless they hold a wildcard."""
        random = self.random
        if depth == 0 or random.random() < 0.4:
            return self.kql_leaf(random.choice([f for f in QUERYABLE if not f.startswith("flat")]))
        self.sound = True
        parts = [self.kql(depth - 1) for _ in range(random.randint(1, 3))]
        joint = random.choice([" and ", " or ", " AND ", " Or "])
        return random.choice(["", "not ", "NOT "]) + "(" + joint.join(parts) + ")"

    def kql_leaf(self, field: str) -> str:
        """One comparison: quoted, bare, a range, a list, a pattern, or inside nested objects."""
        random = self.random
        value = self.query_text(field)
        match random.randint(0, 9):
            case 0 | 1 if field in STRINGS and not re.search(r"\s", value):
                return f"{field}: a{self.pattern(value, kql_escaped).replace('?', '')}*"
            case 2:
                return f"{field}: *"
            case 3:
                return f"{field} {random.choice(['<', '<=', '>', '>='])} {kql_quoted(value)}"
            case 4:
                joint = random.choice([" or ", " and ", " or not "])
                other = kql_quoted(self.query_text(field))
                return f"{field}: ({kql_quoted(value)}{joint}{other})"
            case 5:
                inside = random.choice(
                    [
                        f"k: {kql_quoted(self.text(50))}",
                        f"n > {random.choice([0, 1, 5])} and k: *",
                        f"not n: 5 and ip: {kql_quoted(random.choice(NETWORKS))}",
                        "k: * or n: 12",
                    ]
                )
                return f"sub: {{ {inside} }}"
            case 6:
                # Beside others, a text asked of numbers fails only where the rest could hold.
                numbers = [] if self.sound else ["*.long", "n.i*t"]
                wild = random.choice(["na*", "name.*", *numbers])
                return f"{wild}: {kql_quoted(value)}"
            case 7 if value.strip():
                return f"{field}: {kql_bare(value)}"
            case _:
                return f"{field}: {kql_quoted(value)}"

    def case(self, name: str) -> Case:
        """A rule of any language, half of those in Lucene with exception items."""
        self.sound = False
        kind = self.random.random()
        if kind < 0.12:
            return Case(EngineRule(name, "kuery", self.kql(), (self.index,)))
        if kind < 0.4:
            return Case(EngineRule(name, "lucene", self.lucene(), (self.index,)))
        if kind < 0.7:
            return Case(EngineRule(name, "esql", self.esql(), ()))
        query = "*:*" if self.random.random() < 0.7 else self.lucene(1)
        self.sound = query != "*:*"
        return Case(EngineRule(name, "lucene", query, (self.index,), self.items()))


def sign_of(random: Random) -> str:
    """An operator that compares in order."""
    return random.choice(["<", "<=", ">", ">="])


def escaped(text: str) -> str:
    """The text with every character that Lucene's syntax uses behind a backslash."""
    return re.sub(r'([\s+\-!(){}\[\]^"~*?:\\/&|<>=])', r"\\\1", text)


def quoted(text: str) -> str:
    """An ES|QL string."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + plain.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r") + '"'


def escape_like(text: str) -> str:
    """The text as a pattern of LIKE or of an exception entry that fits it alone."""
    return re.sub(r"([\\*?])", r"\\\1", text)


def uncoded(text: str) -> str:
    r"""The text with each character as `\uXXXX`, as far as that goes."""
    units = text[:5].encode("utf-16-be")
    return "".join(f"\\u{units[n]:02x}{units[n + 1]:02x}" for n in range(0, len(units), 2)) or "a"


def kql_quoted(text: str) -> str:
    """A quoted value."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def kql_bare(text: str) -> str:
    """A value without quotes, nothing in it an operator or a wildcard."""
    plain = re.sub(r"\s+", " ", text).strip()
    return re.sub(r'([\\():<>"*{}])', r"\\\1", re.sub(r"(?i)\b(or|and|not)\b", "x", plain))


def kql_escaped(text: str) -> str:
    """The text with every character that KQL's syntax uses behind a backslash."""
    return re.sub(r'([\\():<>"*{}])', r"\\\1", text)
