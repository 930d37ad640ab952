"""Generated worlds for the engines: mappings, documents and queries out of nasty alphabets.

Everything comes from one `random.Random`, so a seed names a world for ever. Queries are built from
the values of the documents, so that they match often enough to tell two engines apart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field as new
from functools import partial
from random import Random
from types import MappingProxyType
from typing import Any

from ruledeploy.engine import Document, EngineRule
from ruledeploy.fields import FieldTable, FieldType
from ruledeploy.query.text import lower, words

TEXTS = (
    *(
        "cmd.exe",
        "CMD.EXE",
        "Cmd.exe",
        r"C:\Temp\x.exe",
        r"c:\temp\X.EXE",
        r"\Device\HarddiskVolume3\a b",
    ),
    *(
        "a b",
        "a  b",
        " a",
        "b ",
        "A B",
        "<10",
        ">10",
        ">=1",
        "<",
        ">",
        "=",
        "",
        "-",
        "--",
        "AND",
        "OR",
    ),
    *(
        "NOT",
        "TO",
        "*",
        "a*b",
        "?",
        "a?b",
        "a\\",
        "\\",
        "\\\\",
        'q"q',
        '"',
        "(x)",
        "[1 TO 2]",
        "{}",
    ),
    *("~", "a~1", "^", "a^2", "a:b", ":", "/x/", "/", "a/b", "&&", "||", "!", "+a", "#", "@", "&"),
    *(
        "foo bar baz",
        "foo-bar",
        "foo_bar",
        "Foo Bar",
        "foo, bar",
        "bar foo",
        "1",
        "01",
        "1.0",
        "-1",
    ),
    *(
        "12",
        "true",
        "false",
        "null",
        "10.0.0.1",
        "2026-01-05",
        "\u0130stanbul",
        "istanbul",
        "\u0131",
    ),
    *("\u0391\u03a3", "\u03b1\u03c2", "\u03b1\u03c3", "stra\u00dfe", "STRASSE", "\u00e9", "\u00c9"),
    *("e\u0301", "\U0001f600", "\u65e5\u672c", "a\nb", "a\tb", "\u00a0", "\u212a", "x1.y2", "it's"),
    *("it\u2019s", "1,000", "a.b", "a;b", "#5", "e-mail@x.com", "$(calc)", "%TEMP%", "a|b", "a,b"),
    *("x" * 1023, "x" * 1024, "x" * 1025, "X" * 1024, "\U0001f600" * 512, "\U0001f600" * 513),
)
_ALPHABET = "aAbBxX01 .-_\\/:*?\"'<>()[]{}~^&|!+=#@,;\u0130\u00e9\u00df\u03a3\u03c2\U0001f600"
NUMBERS = (
    0,
    1,
    -1,
    5,
    12,
    12.7,
    -3.5,
    1.5,
    0.1,
    127,
    128,
    2**31 - 1,
    2**31,
    2**53,
    2**53 + 1,
    2**63 - 1,
)
NUMBER_TEXTS = ("12", "12.7", "0", "-1", "1e3", "abc", " 1", "1.0")
ADDRESSES = (
    "10.0.0.1",
    "10.0.0.9",
    "10.1.2.3",
    "192.168.0.1",
    "::1",
    "::ffff:10.0.0.1",
    "2001:db8::1",
    "fe80::1",
)
NETWORKS = (
    "10.0.0.0/8",
    "10.0.0.0/30",
    "10.0.0.1/32",
    "192.168.0.0/16",
    "2001:db8::/32",
    "::/0",
    "0.0.0.0/0",
)
DATES = (
    *("2026-01-05T10:00:00Z", "2026-01-05T23:59:59.999Z", "2026-01-06", "2026-01", "2026"),
    *("2026-01-05T10:00:00.123456Z", "2026-01-05T12:00:00+02:00", "2025-12-31T23:59:59.999Z"),
    *("2026-01-05T10:00Z", "2026-02-28"),
)


def _type(**mapping: Any) -> dict[str, Any]:
    return mapping


FIELDS: dict[str, dict[str, Any]] = {
    "k": _type(type="keyword"),
    "brief": _type(type="keyword", ignore_above=5),
    "name": _type(
        type="keyword",
        ignore_above=1024,
        fields={
            "caseless": {"type": "keyword", "normalizer": "lowercase", "ignore_above": 1024},
            "text": {"type": "text"},
        },
    ),
    "line": _type(type="wildcard", fields={"text": {"type": "match_only_text"}}),
    "t": _type(type="text"),
    "msg": _type(type="match_only_text"),
    "ip": _type(type="ip"),
    "n.long": _type(type="long"),
    "n.int": _type(type="integer"),
    "n.short": _type(type="short"),
    "n.byte": _type(type="byte"),
    "n.double": _type(type="double"),
    "n.float": _type(type="float"),
    "n.half": _type(type="half_float"),
    "n.unsigned": _type(type="unsigned_long"),
    "flag": _type(type="boolean"),
    "at": _type(type="date"),
    "flat": _type(type="flattened"),
    "alias": _type(type="alias", path="name"),
    "sub": _type(type="nested"),
    "sub.k": _type(
        type="keyword", fields={"caseless": {"type": "keyword", "normalizer": "lowercase"}}
    ),
    "sub.n": _type(type="long"),
    "@timestamp": _type(type="date"),
}
TABLE = FieldTable(
    "generated",
    "generated",
    MappingProxyType({name: FieldType.from_mapping(entry) for name, entry in FIELDS.items()}),
)
STRINGS = (
    "k",
    "brief",
    "name",
    "name.caseless",
    "name.text",
    "line",
    "line.text",
    "t",
    "msg",
    "alias",
)
NUMERIC = ("n.long", "n.int", "n.short", "n.byte", "n.double", "n.float", "n.half", "n.unsigned")
QUERYABLE = (
    *STRINGS,
    *STRINGS,
    *NUMERIC,
    "ip",
    "ip",
    "flag",
    "at",
    "at",
    "unmapped",
    "flat",
    "flat.key",
)
# Fields that are analysed: see `query_text`.
WORDED = ("name.text", "line.text", "t", "msg")
ESQL_DEPTH = 2
NULLABLE = ("n.byte", "n.short")
LOWERCASE = {"analysis": {"normalizer": {"lowercase": {"type": "custom", "filter": ["lowercase"]}}}}


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
    nullable: list[str] = new(default_factory=list)

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
        if self.random.random() < 0.6:
            out["sub"] = [
                {"k": self.many(lambda: self.text(200)), "n": self.random.choice([1, 5, 12])}
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
                return random.choice([*DATES, 1767607200000])
            case "n.byte":
                return random.choice([0, 1, -1, 5, 12, "12", 12.7, 127])
            case "n.short" | "n.half":
                return random.choice([0, 1, -1, 5, 12, 128, "12", 12.7, 0.1])
            case "n.int" | "n.unsigned":
                return random.choice([0, 1, 5, 12, 128, 2**31 - 1, "12"])
            case "n.long":
                return random.choice([*NUMBERS, "12", "12.7"])
            case "n.double" | "n.float":
                return random.choice([*NUMBERS, "12", "0.1"])
            case "other":
                return self.text(50)
            case _:
                return random.choice([*TEXTS, self.text(), self.text(), 5, 1.5, True])

    def text(self, limit: int = 10**6) -> str:
        """A text from the list or a random one, at most `limit` characters."""
        if self.random.random() < 0.75:
            return self.random.choice([text for text in TEXTS if len(text) <= limit])
        return "".join(self.random.choices(_ALPHABET, k=self.random.randint(1, 8)))

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
                low, high = (escaped(self.query_text(field)) or "*" for _ in range(2))
                return f"{field}:{random.choice('[{')}{low} TO {high}{random.choice(']}')}"
            case 9:
                return f"{field}:{random.choice(['>', '<', '>=', '<='])}{escaped(value)}"
            case 10:
                name = random.choice([*QUERYABLE, "n", "sub", "sub.k", "flat"])
                return random.choice([f"_exists_:{name}", f"{name}:*"])
            case _:
                return random.choice(
                    [
                        f"{field}:({escaped(value)} {escaped(self.query_text(field)) or 'a'})",
                        f"{field}:({escaped(value)} OR {escaped(self.query_text(field)) or 'a'})",
                        f"sub.k:{escaped(value)}",
                        f"na\\*:{escaped(value)}",
                        escaped(value),
                    ]
                )

    def query_text(self, field: str) -> str:
        """A value to ask the field for, now and then one its type does not take."""
        random = self.random
        if random.random() < 0.08:
            text = self.text(100)
            return text if words(text) or field not in WORDED else "a"
        if field == "ip":
            return random.choice([*ADDRESSES, *NETWORKS])
        if field == "at":
            return random.choice([*DATES, "1767607200000", "now-1d/d", "2026-01-05||+1d/d"])
        if field == "flag":
            return random.choice(["true", "false", "True", "x"])
        if field.startswith("n."):
            return random.choice([*map(str, NUMBERS), *NUMBER_TEXTS])
        text = self.text(1100)
        # A text without words takes its clause out of a query: told in docs/engine.md.
        return text if words(text) or field in ("k", "brief", "name", "line") else "a"

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
        self.nullable = list(NULLABLE)
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
            # In a compound query `f is null` makes other conditions on f null: see docs/engine.md.
            field = random.choice([*STRINGS, *NUMERIC, "ip", "at", "flag"])
            if not compound or self.nullable:
                field = self.nullable.pop() if compound else field
                return f"{field} is {random.choice(['', 'not '])}null"
        if kind < 0.25:
            return self.esql_other(compound=compound)
        field = random.choice([name for name in STRINGS if not (compound and name == "name.text")])
        value = self.text(1100)
        if field == "name.caseless":
            value = lower(value)  # else it depends on whether the comparison reaches the index
        operand = random.choice([field, field, field, f"to_lower({field})", f"to_upper({field})"])
        match random.randint(0, 6):
            case 0 | 1:
                return f"{operand} {random.choice(['==', '!='])} {quoted(value)}"
            case 2:
                among = f"({quoted(value)}, {quoted(self.text(50) + 'z')})"
                return f"{operand} {random.choice(['', 'not '])}in {among}"
            case 3 | 4:
                pattern = self.pattern(value, escape_like, keep_case=field == "name.caseless")
                return f"{operand} {random.choice(['', 'not '])}like {quoted(pattern)}"
            case 5:
                regexp = self.regexp(value)
                return f"{operand} rlike {quoted(lower(regexp) if 'caseless' in field else regexp)}"
            case _:
                name = random.choice(["starts_with", "ends_with"])
                return f"{name}({operand}, {quoted(value[: random.randint(0, 5)])})"

    def esql_other(self, *, compound: bool) -> str:
        """A comparison of numbers, dates, addresses or booleans."""
        random = self.random
        sign = random.choice(["==", "!=", "<", "<=", ">", ">="])
        match random.randint(0, 3):
            case 0:
                field = random.choice([n for n in NUMERIC if n not in ("n.unsigned", *NULLABLE)])
                # 0.1 is another number in a float's index than among the values it is read as.
                fractions = [] if compound else [12.7, 0.1]
                return f"{field} {sign} {random.choice([0, 1, -1, 5, 12, 1.5, 128, *fractions])}"
            case 1:
                return f"at {sign} {quoted(random.choice(DATES))}"
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
                    ["flag == true", "flag != true", "flag == false", "not flag == true"]
                )

    # ------------------------------------------------------------------------------- exceptions

    def items(self) -> tuple[dict[str, Any], ...]:
        """One to three exception items."""
        return tuple(
            {
                "item_id": f"i{n}",
                "entries": [self.entry() for _ in range(self.random.randint(1, 2))],
            }
            for n in range(self.random.randint(1, 3))
        )

    def entry(self) -> dict[str, Any]:
        """One entry."""
        random = self.random
        if random.random() < 0.15:
            inner = [self.plain_entry(f) for f in random.sample(["k", "n", "k.caseless"], 2)]
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
            field = random.choice([name for name in QUERYABLE if not name.startswith("flat")])
            value = self.query_text(field)
            if random.random() < 0.25 and field in STRINGS and not re.search(r"\s", value):
                return f"{field}: a{self.pattern(value, kql_escaped).replace('?', '')}*"
            if random.random() < 0.15:
                return f"{field}: *"
            return f"{field}: " + '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        parts = [self.kql(depth - 1) for _ in range(random.randint(1, 3))]
        joint = random.choice([" and ", " or "])
        return random.choice(["", "not "]) + "(" + joint.join(parts) + ")"

    def case(self, name: str) -> Case:
        """A rule of any language, half of those in Lucene with exception items."""
        kind = self.random.random()
        if kind < 0.08:
            return Case(EngineRule(name, "kuery", self.kql(), (self.index,)))
        if kind < 0.4:
            return Case(EngineRule(name, "lucene", self.lucene(), (self.index,)))
        if kind < 0.7:
            return Case(EngineRule(name, "esql", self.esql(), ()))
        query = "*:*" if self.random.random() < 0.7 else self.lucene(1)
        return Case(EngineRule(name, "lucene", query, (self.index,), self.items()))


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


def kql_escaped(text: str) -> str:
    """The text with every character that KQL's syntax uses behind a backslash."""
    return re.sub(r'([\\():<>"*{}])', r"\\\1", text)
