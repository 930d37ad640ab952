"""What generated worlds are made of: nasty values, and fields of every type."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from ruledeploy.fields import FieldTable, FieldType

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
    *(
        "\u017fs",
        "SS",
        "\u1e9e",
        "\u01c5",
        "\ufb01",
        "FI",
        "\u1fb3",
        "\u0149",
        "\u0000",
        "\x7f",
        "\ufeffa",
    ),
    *(
        "\\u0041",
        "\\n",
        "\\*",
        "\\?",
        'a"b',
        "a\\\\b",
        "\\\\host\\c$",
        "*.*",
        "**",
        "a**b",
        "\u200b",
    ),
    *("x" * 1023, "x" * 1024, "x" * 1025, "X" * 1024, "\U0001f600" * 512, "\U0001f600" * 513),
)
ALPHABET = "aAbBxX01 .-_\\/:*?\"'<>()[]{}~^&|!+=#@,;\u0130\u00e9\u00df\u03a3\u03c2\U0001f600"
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
    -(2**63),
)
NUMBER_TEXTS = (
    "12",
    "12.7",
    "0",
    "-1",
    "1e3",
    "abc",
    " 1",
    "1.0",
    "-0",
    "+5",
    "007",
    ".5",
    "5.",
    "1d",
    "1L",
)
HUGE_TEXTS = (
    *("9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551615"),
    *(
        "18446744073709551616",
        "1e19",
        "1e39",
        "1e400",
        "-1e400",
        "NaN",
        "Infinity",
        "0x10",
        "65504",
        "65520",
    ),
)
ADDRESSES = (
    "10.0.0.1",
    "10.0.0.9",
    "10.1.2.3",
    "192.168.0.1",
    "::1",
    "::ffff:10.0.0.1",
    "2001:db8::1",
    "fe80::1",
    "2001:DB8:0:0:0:0:0:1",
    "::ffff:a01:203",
    "0:0:0:0:0:0:0:0",
)
NO_ADDRESSES = (
    "10.0.0",
    "10.0.0.256",
    "10.0.0.01",
    "fe80::1%eth0",
    "10.0.0.1/33",
    "::1/129",
    "x",
    "10.0.0.1:80",
)
NETWORKS = (
    "10.0.0.0/8",
    "10.0.0.0/30",
    "10.0.0.1/32",
    "192.168.0.0/16",
    "2001:db8::/32",
    "::/0",
    "0.0.0.0/0",
    "10.1.2.3/16",
)
# Refused in ES|QL and KQL, unless the rest of the query already says that nothing matches.
MAPPED_NETWORK = "::ffff:10.0.0.0/104"
DATES = (
    *("2026-01-05T10:00:00Z", "2026-01-05T23:59:59.999Z", "2026-01-06", "2026-01", "2026"),
    *("2026-01-05T10:00:00.123456Z", "2026-01-05T12:00:00+02:00", "2025-12-31T23:59:59.999Z"),
    *("2026-01-05T10:00Z", "2026-02-28", "2026-01-05T10", "2026-01-05T10:00:00,5Z", "2024-02-29"),
    *("2026-01-05T23:30:00-0130", "2026-01-05T10:00:00+14", "1969-12-31T23:59:59.999Z", "-1", "0"),
    *("1767607200000", "1767607200000.9", "2026-01-05T10:00:00.1Z", "2026-01-05T"),
)
ODD_DATES = (
    *("now-", "now-1", "now-1q", "now-1d/", "2026-01-05||x", "now -1d"),
    *(
        "2026-13-01",
        "2026-02-30",
        "2026-1-5",
        "26-01-05",
        "20260105",
        "2026-01-05 10:00:00",
        "2026-W02",
    ),
    *(
        "2026-005",
        "2026-01-05T24:00:00Z",
        "2026-01-05T10:00:60Z",
        "12026-01-01",
        "+12026-01-01",
        "now",
        "x",
    ),
)
DATE_MATH = (
    *(
        "now-1d/d",
        "now+1y",
        "now/w",
        "now-1M/M",
        "now-0s",
        "now-d",
        "2026-01-05||+1d/d",
        "2026-01-05||/M",
    ),
    *(
        "2026-01-05T10:30:00Z||-2h/h+1m",
        "2026-01-31||+1M",
        "2024-02-29||+1y",
        "2026-01-05||/w",
        "2026-01-05||/y",
    ),
    *(
        "2026-01-05||",
        "2026-01-05T10:00:00Z||-1H",
    ),
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
    "low": _type(type="keyword", normalizer="lowercase", ignore_above=30),
    "t": _type(type="text"),
    "msg": _type(type="match_only_text"),
    "ip": _type(type="ip"),
    "n.long": _type(type="long", fields={"text": {"type": "keyword"}}),
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
    "sub.ip": _type(type="ip"),
    "sub.t": _type(type="text"),
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
    "low",
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
    "n.long.text",
    "unmapped",
    "flat",
    "flat.key",
)
NORMALIZED = ("name.caseless", "low")
# Fields that are analysed: see `query_text`.
WORDED = ("name.text", "line.text", "t", "msg")
ESQL_DEPTH = 2
# Texts to be compared with one another, none of which reads as a date or an address.
CONTRARY = ("a b", "A B", "cmd.exe", "foo bar baz", "istanbul", "x1.y2")
LOWERCASE = {"analysis": {"normalizer": {"lowercase": {"type": "custom", "filter": ["lowercase"]}}}}
