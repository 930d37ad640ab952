"""Generated ES|QL pipes over generated documents: typed, so that most of them run.

Everything comes from one `random.Random`. A pipe that leaves events ends in a `stats` by all the
columns it made, so that every value of every row is compared.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from types import MappingProxyType
from typing import Any

from ruledeploy.engine import Document

FIELDS = {
    "n": {"type": "long"},
    "k": {"type": "keyword"},
    "j": {"type": "keyword", "ignore_above": 6},
    "x": {"type": "text"},
    "l": {"type": "long"},
    "i": {"type": "integer"},
    "d": {"type": "double"},
    "t": {"type": "date"},
    "ip": {"type": "ip"},
    "b": {"type": "boolean"},
}
TYPES = MappingProxyType(
    {
        "n": "long", "k": "keyword", "j": "keyword", "x": "text", "l": "long", "i": "integer",
        "d": "double", "t": "date", "ip": "ip", "b": "boolean",
    }
)  # fmt: skip
TEXTS = (
    "a",
    "A",
    "cmd.exe",
    "CMD.exe",
    r"C:\a",
    "",
    "a b",
    "12",
    "-3",
    "1.5",
    "10.0.0.1",
    "é",
    "true",
)
WHOLES = (0, 1, 2, 3, -1, 7, 100, 2147483647, -5)
FRACTIONS = (0.0, 0.5, 1.5, -2.5, 3.0, 1e10, 0.001)
DATES = (
    "2026-01-01T00:00:00.000Z", "2026-01-01T10:11:12.345Z", "2026-02-28T23:59:59.999Z",
    "2025-12-31T23:00:00.000Z", "2026-01-01T10:14:59.000Z",
)  # fmt: skip
ADDRESSES = ("10.0.0.1", "10.0.0.2", "192.168.1.1", "::1", "fe80::1")
FORMS = ("", '"yyyy-MM-dd", ', '"HH:mm", ', "\"dd/MM/uuuu'T'ss.SSS\", ")
UNITS = ("ms", "seconds", "minute", "hours", "days", "weeks")
PARTS = ("year", "month_of_year", "day_of_year", "day_of_week", "hour_of_day", "second_of_day")
VALUES: dict[str, tuple[Any, ...]] = {
    "n": (0,), "k": TEXTS, "j": TEXTS, "x": TEXTS, "l": WHOLES, "i": WHOLES, "d": FRACTIONS,
    "t": DATES, "ip": ADDRESSES, "b": (True, False),
}  # fmt: skip


class PipeGenerator:
    """Documents and pipes of one world."""

    def __init__(self, random: Random, index: str) -> None:
        self.random = random
        self.index = index
        self.columns: dict[str, str] = {}
        self.made: list[str] = []
        self.constant: set[str] = set()
        self.filtering = False
        self.count = 0

    # -------------------------------------------------------------------------- documents

    def documents(self, count: int) -> list[Document]:
        """Documents with a number of their own each; fields missing, and of several values."""
        return [Document(self.index, str(n), {**self._source(), "n": n}) for n in range(count)]

    def _source(self) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for name, values in VALUES.items():
            chance = self.random.random()
            if chance < 0.15:
                continue
            many = chance > 0.85
            picked = [self.random.choice(values) for _ in range(self.random.randint(2, 3))]
            out[name] = picked if many else picked[0]
        return out

    # ------------------------------------------------------------------------------ pipes

    def pipe(self) -> str:
        """A query: conditions and computed columns, then groups."""
        self.columns = dict(TYPES)
        self.made = []
        self.constant = set()
        steps = [self._step() for _ in range(self.random.randint(1, 4))]
        steps.append(self._ending())
        return f"from {self.index} | {' | '.join(step for step in steps if step)}"

    def _step(self) -> str:
        return self.random.choice((self._where, self._where, self._eval, self._eval, self._other))()

    def _where(self) -> str:
        self.filtering = True
        text = f"where {self.boolean(2)}"
        self.filtering = False
        return text

    def _eval(self) -> str:
        self.count += 1
        name = f"c{self.count}"
        type_ = self.random.choice(
            ("keyword", "integer", "long", "double", "boolean", "date", "ip")
        )
        if self.random.random() < 0.2:
            # A column of the same name hides the index's own.
            name = self._column(type_) or name
        name = f"c{self.count}" if name == "n" else name
        expression = self.of(type_, 2)
        if expression in self.columns:
            # Groups by a column and its copy are groups by pairs of equal values on the node.
            return ""
        text = f"eval {name} = {expression}"
        varies = self._varies(expression)
        self.made = [one for one in self.made if one != name] + [name]
        self.columns[name] = type_
        self.constant = self.constant - {name} if varies else self.constant | {name}
        return text

    def _other(self) -> str:
        match self.random.randint(0, 7):
            case 7 if {"k", "j"} <= self.columns.keys():
                del self.columns["k"]
                constant = {"j"} if "k" in self.constant else set()
                self.constant = self.constant - {"k", "j"} | constant
                self.made = [one for one in self.made if one not in ("k", "j")] + ["j"]
                return "rename k as j"
            case 6:
                self._forget(*(name for name in self.columns if name.startswith("c")))
                return "drop c*, x" if self._forget("x") else "drop c*"
            case 5:
                kind = self.random.choice(("keyword", "integer", "long", "double", "date", "ip"))
                order = self.random.choice(("", " desc", " nulls first", " desc nulls last"))
                return f"sort {self.of(kind, 1)}{order}, n desc | limit 20"
            case 4:
                kept = ["n, k, l, i", "d, t, ip, b", *self.made]
                if "k" not in self.columns:
                    return ""
                for gone in ("j", "x"):
                    self.columns.pop(gone, None)
                self.random.shuffle(kept)
                return f"keep {', '.join(kept)}"
            case 0:
                old = self.random.choice([*self.made, "k", "j"])
                if old not in self.columns:
                    return ""
                self.count += 1
                new = f"r{self.count}"
                self.columns[new] = self.columns.pop(old)
                self.constant |= {new} if old in self.constant else set()
                self.made = [name for name in self.made if name != old] + [new]
                return f"rename {old} as {new}"
            case 1:
                key = self.random.choice([name for name in self.columns if name != "n"])
                order = self.random.choice(("", " desc", " asc nulls first", " desc nulls last"))
                return f"sort {key}{order}, n | limit {self.random.randint(1, 30)}"
            case 2 if "x" in self.columns:
                del self.columns["x"]
                return "drop x"
            case _:
                return ""

    def _forget(self, *names: str) -> bool:
        """Whether any of the columns was there; none of them is any longer."""
        there = {*names} & self.columns.keys()
        self.columns = {name: kind for name, kind in self.columns.items() if name not in there}
        self.made = [name for name in self.made if name not in there]
        return bool(there)

    def _ending(self) -> str:
        if self.random.random() < 0.5:
            return f"stats rows = count(*) by {', '.join(['n', *self.made[:3]])}"
        groups = self._groups()
        count = self.random.randint(1, 3)
        aggregates = [f"a{n} = {self._aggregate(grouped=bool(groups))}" for n in range(count)]
        tail = f" by {', '.join(groups)}" if groups else ""
        after = ""
        if self.random.random() < 0.5:
            after = self.random.choice(
                (
                    " | where a0 is null",
                    " | where a0 is not null",
                    ' | eval z = concat(to_string(a0), "!") | keep z',
                    " | eval z = mv_count(a0) | stats s = sum(z), most = max(z), rows = count(*)",
                    " | rename a0 as z | stats rows = count(z) by z",
                    " | where mv_count(a0) < 2 | sort a0 desc | limit 1 | keep a0",
                )
            )
        return f"stats {', '.join(aggregates)}{tail}{after}"

    def _aggregate(self, *, grouped: bool) -> str:
        kind = self.random.choice(
            ("count", "count_distinct", "min", "max", "sum", "avg", "values", "computed")
        )
        numbers = ("l", "i", "d", *self._named("long", "integer", "double"))
        anything = [name for name in self.columns if self.columns[name] != "text"]
        if kind in ("count_distinct", "computed") and not grouped:
            # Null, not 0, where the optimizer knows that there are no rows.
            kind = "count"
        match kind:
            case "count":
                inner = self.random.choice(["*", *anything])
                where = f" where {self.boolean(1)}" if self.random.random() < 0.3 else ""
                return f"count({inner}){where}"
            case "sum" | "avg":
                return f"{kind}({self.random.choice(numbers)})"
            case "count_distinct":
                # Of booleans in groups the node counts none, now and then.
                counted = [name for name in anything if self.columns[name] != "boolean"]
                return f"count_distinct({self.random.choice(counted)})"
            case "computed":
                return f"(count(*) + count_distinct({self.random.choice(numbers)})) * 2"
            case _:
                return f"{kind}({self.random.choice(anything)})"

    def _groups(self) -> list[str]:
        options = [
            *(name for name in self.columns if self.columns[name] not in ("text", "double")),
            "day = date_trunc(1 day, t)",
            "slot = bucket(t, 5 minutes)",
            f"g = to_lower({self.of('keyword', 1)})",
        ]
        return self.random.sample(options, self.random.randint(0, 2))

    def _named(self, *types: str) -> list[str]:
        return [name for name, type_ in self.columns.items() if type_ in types]

    # ------------------------------------------------------------------------ expressions

    def of(self, type_: str, depth: int) -> str:
        """An expression of a type."""
        makers: dict[str, Callable[[int], str]] = {
            "keyword": self.text,
            "boolean": self.boolean,
            "integer": self.integer,
            "long": self.long,
            "double": self.double,
            "date": self.date,
            "ip": self.address,
        }
        if self.random.random() < 0.15 and depth > 0:
            first, second = self.of(type_, depth - 1), self.of(type_, depth - 1)
            if self.random.random() < 0.5:
                return f"coalesce({first}, {second})"
            return f"case({self.boolean(depth - 1)}, {first}, {second})"
        return makers[type_](depth)

    def _column(self, *types: str) -> str | None:
        names = self._named(*types)
        return self.random.choice(names) if names else None

    def literal(self, text: str) -> str:
        """A text in quotes."""
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'

    def text(self, depth: int) -> str:
        """A keyword or text column, a literal, or a function of one."""
        column = self._column("keyword", "text")
        if depth <= 0 or self.random.random() < 0.3:
            literal = self.literal(self.random.choice(TEXTS))
            return column if column and self.random.random() < 0.8 else literal
        inner = self.text(depth - 1)
        return self.random.choice(
            (
                f"to_lower({inner})",
                f"to_upper({inner})",
                f"trim({inner})",
                f'concat({inner}, "-", {self.text(depth - 1)})',
                f"substring({inner}, {self.random.choice((1, 2, -2))}, 2)",
                f"left({inner}, 2)",
                f"right({inner}, 2)",
                f"to_string({self.random.choice(('l', 'i', 'd', 't', 'ip', 'b'))})",
                f"mv_first({inner})",
                f'mv_concat({inner}, ",")',
                f"mv_max({inner})",
                f'replace({inner}, "{self.random.choice(("[a-c]+", "C", "[^.a]", "a?."))}", "-")',
                f"{self.random.choice(('md5', 'sha1', 'sha256', 'ltrim', 'rtrim'))}({inner})",
                f'split({inner}, ".")',
                f"date_format({self.random.choice(FORMS)}{self.date(depth - 1)})",
            )
        )

    def _varying(self, depth: int) -> str:
        """A text of some column: what folds to null is null to what the optimizer makes of it."""
        found = self.text(depth)
        return found if self._varies(found) else "to_string(n)"

    def _varies(self, expression: str) -> bool:
        """Whether it names a column that is no constant."""
        names = re.findall(r"\w+", re.sub(r'"(?:\\.|[^"])*"', "", expression))
        return any(name in self.columns and name not in self.constant for name in names)

    def integer(self, depth: int) -> str:
        """A whole number of 32 bits."""
        if depth <= 0 or self.random.random() < 0.3:
            return self._column("integer") or str(self.random.choice((1, 2, 3)))
        return self.random.choice(
            (
                f"length({self.text(depth - 1)})",
                f"mv_count({self.random.choice(('k', 'l', 'd')) if 'k' in self.columns else 'l'})",
                f"to_integer({self._varying(depth - 1)})",
                f"({self.integer(depth - 1)} + {self.integer(depth - 1)})",
                f"({self.integer(depth - 1)} - 2)",
                f"({self.integer(depth - 1)} / {self.integer(depth - 1)})",
                f"({self.integer(depth - 1)} % 3)",
                f"abs({self.integer(depth - 1)})",
                f"locate({self.text(depth - 1)}, {self.text(0)})",
                f"locate({self.text(depth - 1)}, {self.text(0)}, {self.integer(0)})",
                f'date_diff("{self.random.choice(UNITS)}", {self.date(depth - 1)}, {self.date(0)})',
            )
        )

    def long(self, depth: int) -> str:
        """A whole number of 64 bits."""
        if depth <= 0 or self.random.random() < 0.3:
            return self._column("long") or "n"
        return self.random.choice(
            (
                f"({self.long(depth - 1)} * {self.integer(depth - 1)})",
                f"to_long({self.random.choice(('d', 't', 'i', 'b'))})",
                f"mv_min({self.long(depth - 1)})",
                f"(-{self.long(depth - 1)})",
                f"greatest({self.long(depth - 1)}, {self.long(depth - 1)})",
                f'date_extract("{self.random.choice(PARTS)}", {self.date(depth - 1)})',
            )
        )

    def double(self, depth: int) -> str:
        """A number with a fraction."""
        if depth <= 0 or self.random.random() < 0.3:
            return self._column("double") or "1.5"
        return self.random.choice(
            (
                f"({self.double(depth - 1)} + {self.integer(depth - 1)})",
                f"({self.double(depth - 1)} / 2)",
                f"to_double({self._varying(depth - 1)})",
                f"round({self.double(depth - 1)})",
                f"floor({self.double(depth - 1)})",
                f"ceil({self.double(depth - 1)})",
                f"sqrt({self.double(depth - 1)})",
                f"pow({self.long(depth - 1)}, {self.integer(depth - 1)})",
            )
        )

    def date(self, depth: int) -> str:
        """A date."""
        if depth <= 0 or self.random.random() < 0.3:
            return self._column("date") or "t"
        span = self.random.choice(
            ("5 minutes", "1 hour", "1 day", "1 week", "1 month", "1 year", "7 seconds")
        )
        return self.random.choice(
            (
                f"date_trunc({span}, {self.date(depth - 1)})",
                f"({self.date(depth - 1)} - 1 hour)",
                f"to_datetime({self.literal(self.random.choice(DATES))})",
            )
        )

    def address(self, depth: int) -> str:
        """An address."""
        if depth <= 0 or self.random.random() < 0.5:
            return self._column("ip") or "ip"
        return f"to_ip({self._varying(depth - 1)})"

    def boolean(self, depth: int) -> str:
        """A condition."""
        if depth > 0 and self.random.random() < 0.4:
            left, right = self.boolean(depth - 1), self.boolean(depth - 1)
            return self.random.choice(
                (f"({left} and {right})", f"({left} or {right})", f"(not {left})")
            )
        kinds = ("keyword", "integer", "long", "double", "date", "ip", "boolean")
        kind = self.random.choice(kinds)
        left = self.of(kind, max(depth - 1, 0))
        if self.random.random() < 0.02:  # mostly refused, for its types
            return f"{left} == {self.of(self.random.choice(kinds), 1)}"
        return self._asked(kind, left, depth)

    def _asked(self, kind: str, left: str, depth: int) -> str:
        operator = self.random.choice(("==", "!=", "<", "<=", ">", ">="))
        right = self.of(kind, max(depth - 1, 0))
        if right == left:
            # What the optimizer makes of a column compared with itself is its own affair.
            return f"(n % 7) {operator} {self.random.randint(0, 6)}"
        # In a condition the optimizer reads whatever else names the column as null.
        if self.random.random() < 0.15 and not self.filtering and kind != "boolean":
            return f"({left}) is {self.random.choice(('', 'not '))}null"
        match kind:
            case "keyword":
                return self.random.choice(
                    (
                        f"{left} == {right}",
                        f"{left} {operator} {right}",
                        f'{left} like "*{self.random.choice("acA1")}*"',
                        f'{left} rlike "[a-c].*"',
                        f'starts_with({left}, "c")',
                        f'{left} in ("A", {self.literal(self.random.choice(TEXTS))})',
                    )
                )
            case "boolean":
                return f"({left}) == {self.random.choice(('true', 'false'))}"
            case "ip":
                return self.random.choice(
                    (
                        f'cidr_match({left}, "10.0.0.0/8", "fe80::/10")',
                        f"{left} == {self.literal(self.random.choice(ADDRESSES))}",
                    )
                )
            case "date":
                return f"{left} {operator} {self.literal(self.random.choice(DATES))}"
            case _:
                return self.random.choice((f"{left} {operator} {right}", f"{left} in (2, 3)"))
