"""Rule files that are broken, or meant to hurt: name → content. Each must be refused at a line."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

GOOD = """\
title: {name}
id: {id}
status: experimental
level: low
logsource: {{product: windows, category: process_creation}}
detection:
  selection: {{Image: 'C:\\a.exe'}}
  condition: selection
"""
_HEAD = "title: T\nlogsource: {product: windows, category: process_creation}\n"
_RULE = _HEAD + "detection: {s: {Image: a}, condition: s}\n"


def hostile() -> dict[str, bytes]:
    """Every case by name."""
    cases: dict[str, bytes] = {}
    for name, content in _all():
        assert name not in cases, name
        cases[name] = content.encode() if isinstance(content, str) else content
    return cases


def _all() -> Iterator[tuple[str, str | bytes]]:
    yield from _bytes()
    yield from _syntax()
    yield from _structure()
    yield from _sizes()
    yield from _tags()
    yield from _wrong_types()
    yield from _detections()
    yield from _conditions()
    yield from _elastic()
    yield from _cases()
    yield from _yaml_1_1()
    yield from _expressions()


def harmless() -> dict[str, bytes]:
    """Files that look odd and are right: one rule each, called by its case's name."""
    plain = "title: {name}\nid: {id}\nlogsource: {{product: windows}}\n"
    block = "detection:\n  s:\n    Image: a\n  condition: s\n"
    flow = "detection: {{s: {{{line}}}, condition: s}}\n"
    cases = {
        "carriage-returns": (plain + block).replace("\n", "\r\n"),
        "old-mac": (plain + block).replace("\n", "\r"),
        "byte-order-mark": "\ufeff" + plain + block,
        "yaml-1-2": "%YAML 1.2\n---\n" + plain + block,
        "tag-directive": "%TAG ! tag:x,2000:\n---\n" + plain + block,
        "empty-documents": "---\n---\n" + plain + block + "---\n",
        "merge": "x: &x {{Image: a}}\n" + plain + "detection: {{s: {{<<: *x}}, condition: s}}\n",
        "merge-twice": "x: &x {{Image: a}}\n"
        + plain
        + "detection: {{s: {{<<: [*x, *x]}}, condition: s}}\n",
        "date-as-field": plain + flow.replace("{line}", "2024-01-01: a"),
        "date-as-value": plain + flow.replace("{line}", "Image: 2024-01-01"),
        "escaped-characters": plain + flow.replace("{line}", 'Image: "a\\0b\\N\\_"'),
        "number-as-name": plain + "detection: {{1: {{Image: a}}, condition: 1}}\n",
        "brackets-in-brackets": plain
        + "detection:\n  s: {{Image: a}}\n  condition: "
        + "(" * 1000
        + "s"
        + ")" * 1000
        + "\n",
        "stars": plain + "detection: {{s: {{Image: a}}, condition: 1 of ***************s}}\n",
        "nested-counts": plain
        + flow.replace("{line}", "Image|re: '((a{{1,99}}){{1,99}}){{1,99}}'"),
        "looks-in-looks": plain + flow.replace("{line}", f"Image|re: '{'(?=a' * 40}{')' * 40}'"),
        "many-counts": plain + flow.replace("{line}", f"Image|re: '{'.{{1,50}}a' * 20}'"),
        "many-tags": plain + block + f"tags: [{', '.join(f'attack.t{n}' for n in range(5000))}]\n",
    }
    return {
        name: text.format(name=name, id=UUID(int=1000 + number)).encode()
        for number, (name, text) in enumerate(cases.items())
    }


def _yaml_1_1() -> Iterator[tuple[str, str]]:
    yield "yes-as-a-name", _HEAD + "detection: {yes: {Image: a}, condition: yes}\n"
    yield "on-as-a-condition", _HEAD + "detection: {s: {Image: a}, condition: [s, on]}\n"
    yield "nothing-as-a-name", _HEAD + "detection: {~: {Image: a}, condition: s}\n"
    yield "set-as-a-selection", _HEAD + "detection: {s: !!set {a, b}, condition: s}\n"
    yield "merge-of-a-number", _HEAD + "detection: {s: {<<: 5}, condition: s}\n"
    yield "surrogates-escaped", _HEAD + 'detection: {s: {a: "\\ud83d\\ude00"}, condition: s}\n'
    yield "field-without-a-name", _HEAD + "detection: {s: {'|': z}, condition: s}\n"
    yield "port-not-a-number", _HEAD + "detection: {s: {DestinationPort: .nan}, condition: s}\n"
    yield "beyond-infinity", _HEAD + "detection: {s: {SourcePort|gt: .inf}, condition: s}\n"
    yield "documents", "title: x\n---\n" * 2000
    yield (
        "stars-in-a-name",
        _HEAD + f"detection: {{{'a' * 90}: {{b: c}}, condition: 1 of {'*a' * 20}b}}\n",
    )


def _expressions() -> Iterator[tuple[str, str]]:
    for name, written in {
        "brackets": "(" * 900 + "a" + ")" * 900,
        "borders-in-every-way": r"(x?\b|y)" * 30,
        "borders-repeated": r"((\ba|b){0,8}(\bc|d){0,8}){0,8}",
        "borders-without-end": r"(\ba|b)+",
        "three-letters-again": r"([a-z]{3})\1",
        "a-run": "(ab){60000}",
        "long": "|".join(f"a{n}" for n in range(5000)),
        "possessive": "a++b",
        "atomic": "(?>a)b",
        "conditional": "(a)?(?(1)b|c)",
    }.items():
        yield f"re-{name}", _HEAD + f"detection: {{s: {{Image|re: '{written}'}}, condition: s}}\n"
    dashes = " -a" * 14
    line = f"{{CommandLine|windash|contains: '{dashes}'}}"
    yield "dashes", _HEAD + f"detection: {{s: {line}, condition: s}}\n"
    wide = "a" * 100_000
    yield (
        "base64-of-much",
        _HEAD + f"detection: {{s: {{Image|base64offset|contains: {wide}}}, condition: s}}\n",
    )
    values = ",".join(f"a{n}" for n in range(20_000))
    yield "values", _HEAD + f"detection: {{s: {{Image: [{values}]}}, condition: s}}\n"


def _bytes() -> Iterator[tuple[str, bytes]]:
    rule = _RULE.encode()
    yield "nul", rule + b"x: a\0b\n"
    yield "nul-first", b"\0" + rule
    yield "utf16-le", _RULE.encode("utf-16")
    yield "utf16-be-no-mark", _RULE.encode("utf-16-be")
    yield "utf32", _RULE.encode("utf-32")
    yield "latin-1", rule + "author: Müller\n".encode("latin-1")
    yield "cut-in-a-character", rule + "author: Mü".encode()[:-1]
    yield "overlong", rule + b"author: \xc0\x80\n"
    yield "surrogate", rule + b"author: \xed\xa0\x80\n"
    yield "bell", rule + b"author: \x07\n"
    yield "escape", rule + b"author: \x1b[31m\n"
    yield "random", bytes((n * 7919 + 13) % 256 for n in range(5000))
    yield "zip", b"PK\x03\x04" + bytes(range(256)) * 20
    yield "only-a-mark-and-brackets", b"\xef\xbb\xbf[[["


def _syntax() -> Iterator[tuple[str, str]]:
    yield "tab-indent", _HEAD + "detection:\n\ts: {Image: a}\n\tcondition: s\n"
    yield "tab-after-spaces", _HEAD + "detection:\n  s:\n  \tImage: a\n  condition: s\n"
    yield "open-flow", _HEAD + "detection: {s: {Image: a}, condition: s\n"
    yield "open-list", _HEAD + "tags: [a, b\n"
    yield "open-quote", _RULE + "author: 'x\n"
    yield "open-double-quote", _RULE + 'author: "x\n'
    yield "bad-escape", _RULE + 'author: "\\q"\n'
    yield "bad-code-point", _RULE + 'author: "\\ud800"\n'
    yield "backslash-path", _HEAD + 'detection: {s: {Image: "C:\\Windows"}, condition: s}\n'
    yield "colon-in-value", _RULE + "description: a: b: c\n"
    yield "bad-indent", _HEAD + "detection:\n    s: {Image: a}\n  condition: s\n"
    yield "list-in-mapping", _HEAD + "detection:\n  s: {Image: a}\n- condition\n"
    yield "star-value", _HEAD + "detection: {s: {Image: *.exe}, condition: s}\n"
    yield "percent-value", _HEAD + "detection: {s: {Image: %temp%}, condition: s}\n"
    yield "at-value", _HEAD + "detection: {s: {Image: @x}, condition: s}\n"
    yield "ampersand-value", _HEAD + "detection: {s: {Image: & x}, condition: s}\n"
    yield "unknown-alias", _HEAD + "detection: {s: *nowhere, condition: s}\n"
    yield "bad-directive", "%YAML 9.9 x\n---\n" + _RULE
    yield "conflict-markers", "<<<<<<< HEAD\n" + _RULE + "=======\n" + _RULE
    yield "carriage-returns-and-tab", _RULE.replace("\n", "\r\n") + "a:\r\n\tb: c\r\n"
    yield "block-scalar-tab", _RULE + "description: |\n\tx\n y\n"
    yield "html", "<html><body>not found</body></html>\n"
    yield "python", "def rule(event):\n    return True\n"
    yield "xml", '<?xml version="1.0"?>\n<rule a="b">\n</rule>\n'
    yield "json-broken", '{"title": "T", "logsource": {"product": "windows"},}}'
    yield "document-end-then-text", _RULE + "...\nmore\n"


def _structure() -> Iterator[tuple[str, str]]:
    yield "text", "just a text\n"
    yield "number", "42\n"
    yield "list", "- a\n- b\n"
    yield "list-of-rules", f"- {_RULE.splitlines()[0]}\n"
    yield "true", "true\n"
    yield "second-is-a-list", _RULE + "---\n- a\n"
    yield "second-is-text", _RULE + "---\ntext\n"
    yield "empty-mapping", "{}\n"
    yield "repeated-key", _RULE + "title: again\n"
    yield "repeated-selection", _HEAD + "detection:\n  s: {a: b}\n  s: {c: d}\n  condition: s\n"
    yield "repeated-field", _HEAD + "detection:\n  s: {a: b, a: c}\n  condition: s\n"
    yield "repeated-through-quotes", _RULE + "'title': again\n"
    yield "list-as-key", _RULE + "? [a, b]\n: c\n"
    yield "mapping-as-key", _RULE + "? {a: b}\n: c\n"
    yield "cycle", _HEAD + "detection: &d {s: *d, condition: s}\n"
    yield "cycle-in-a-list", _RULE + "tags: &t [*t]\n"
    yield "cycle-through-two", _RULE + "fields: &a [&b [*a]]\n"
    yield "merge-of-text", _RULE + "<<: text\n"
    yield "merge-of-a-list-of-text", _RULE + "<<: [a]\n"
    yield "merge-of-itself", _HEAD + "detection: &d {<<: *d, condition: s}\n"
    yield "action-unknown", "action: explode\n" + _RULE
    yield "action-repeat-first", "action: repeat\n" + _RULE
    yield "action-list", "action: [global]\n" + _RULE
    yield "title-missing", _RULE.replace("title: T\n", "")
    yield "title-empty", _RULE.replace("title: T", "title: ''")
    yield "title-null", _RULE.replace("title: T", "title: ~")
    yield "logsource-missing", "title: T\ndetection: {s: {a: b}, condition: s}\n"
    yield "detection-missing", _HEAD
    yield "condition-missing", _HEAD + "detection: {s: {a: b}}\n"


def _sizes() -> Iterator[tuple[str, str | bytes]]:
    yield "fifty-megabytes", b"# " + b"x" * 50_000_000
    yield "five-megabytes-of-rule", _RULE + "description: " + "x" * 5_000_000 + "\n"
    yield "deep-brackets", "[" * 100_000
    yield "deep-braces", "{a: " * 100_000
    yield "deep-closed", "title: " + "[" * 5_000 + "]" * 5_000 + "\n"
    yield "deep-sequences", "- " * 100_000 + "a\n"
    yield "deep-keys", "? " * 50_000 + "a\n"
    yield "deep-blocks", "".join(" " * n + "k:\n" for n in range(1500))
    yield "deep-66", _RULE + "x: " + "[" * 66 + "]" * 66 + "\n"
    yield "deep-quoted", 'a: ["' + '"], ["' * 3000
    yield "laughs", _laughs(_RULE)
    yield (
        "laughs-in-mappings",
        _RULE
        + "x0: &x0 {a: b}\n"
        + "".join(
            f"x{n}: &x{n} {{{', '.join(f'k{k}: *x{n - 1}' for k in range(9))}}}\n"
            for n in range(1, 9)
        ),
    )
    yield (
        "laughs-merged",
        _RULE
        + "x0: &x0 {a: b}\n"
        + "".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 30)}]\n" for n in range(1, 6)),
    )
    yield "many-nodes", _RULE + "x: [" + "a," * 600_000 + "]\n"
    yield "long-key", _HEAD + "detection: {" + "k" * 2000 + ": {a: b}, condition: s}\n"
    yield "huge-int", _RULE + "x: " + "9" * 5000 + "\n"
    yield "int-beyond-64", _RULE + "x: 18446744073709551616000\n"
    yield "huge-hex", _RULE + "x: 0x" + "f" * 5000 + "\n"
    yield "huge-base-60", _RULE + "x: 1" + ":59" * 3000 + "\n"
    yield "infinity", _RULE + "x: .inf\n"
    yield "not-a-number", _RULE + "x: .nan\n"
    yield "float-overflow", _RULE + "x: 1.0e+999\n"


def _laughs(rule: str) -> str:
    lines = ["x0: &x0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]" for n in range(1, 10)]
    return rule + "\n".join(lines) + "\n"


def _tags() -> Iterator[tuple[str, str]]:
    for name, value in {
        "object": "!!python/object/apply:os.system ['touch /tmp/pwned']",
        "name": "!!python/name:os.system",
        "module": "!!python/module:os",
        "tuple": "!!python/tuple [a]",
        "binary": "!!binary aGVsbG8=",
        "set": "!!set {a, b}",
        "omap": "!!omap [a: b]",
        "pairs": "!!pairs [a: b]",
        "own": "!rule {a: b}",
        "own-scalar": "!env HOME",
        "int-of-text": "!!int abc",
        "float-of-text": "!!float abc",
        "bool-of-text": "!!bool abc",
        "map-of-text": "!!map abc",
        "seq-of-text": "!!seq abc",
        "str-of-list": "!!str [a]",
        "local-include": "!include /etc/passwd",
    }.items():
        yield f"tag-{name}", f"{_RULE}x: {value}\n"


def _wrong_types() -> Iterator[tuple[str, str]]:
    listed, mapped = "[[a], [b]]", "{a: b}"
    for key, values in {
        "title": (listed, mapped, "true"),
        "id": (listed, mapped, "true", "not-a-uuid", "1.5", "''"),
        "status": (listed, mapped, "5", "Stable!", "''"),
        "level": (listed, mapped, "5", "severe"),
        "date": (listed, mapped, "true", "yesterday", "2024-13-45", "2024-02-30"),
        "tags": (listed, mapped, "true", "[null]", "[{a: b}]"),
        "references": (listed, mapped, "[null]"),
        "falsepositives": (listed, mapped, "[null]"),
        "fields": (listed, mapped),
        "author": (mapped, "[a, [b]]", "true"),
        "description": (listed, mapped, "true"),
        "license": (listed, mapped),
        "name": (listed, mapped),
        "logsource": (listed, "text", "5", "[]", "{product: [a]}", "{category: {a: b}}"),
        "detection": (listed, "text", "5", "true", "[]"),
    }.items():
        for number, value in enumerate(values):
            lines = [line for line in _RULE.splitlines() if not line.startswith(f"{key}:")]
            yield f"type-{key}-{number}", "\n".join([*lines, f"{key}: {value}", ""])


def _detections() -> Iterator[tuple[str, str]]:
    for name, selection in {
        "null": "~",
        "text-with-modifier": "{'|contains': ~}",
        "empty-mapping": "{}",
        "empty-list": "[]",
        "empty-values": "{Image: []}",
        "nested-mapping": "{Image: {a: b}}",
        "nested-list": "{Image: [[a]]}",
        "list-of-mappings-as-value": "{Image: [{a: b}]}",
        "unknown-modifier": "{Image|nosuch: a}",
        "no-modifier": "{Image|: a}",
        "modifier-twice-wrong": "{Image|re|cidr: a}",
        "cidr-of-text": "{DestinationIp|cidr: nonsense}",
        "cidr-beyond": "{DestinationIp|cidr: 10.0.0.0/99}",
        "cidr-of-mapping": "{DestinationIp|cidr: {a: b}}",
        "regex-open": "{Image|re: '('}",
        "regex-lookahead-repeated": "{Image|re: '((?=a)b)*'}",
        "regex-back": "{Image|re: '(a.)\\1'}",
        "regex-huge-repeat": "{Image|re: 'a{99999999999}'}",
        "regex-of-number": "{Image|re: 5}",
        "lt-of-text": "{SourcePort|lt: abc}",
        "gte-of-list-of-text": "{SourcePort|gte: [a]}",
        "exists-of-text": "{Image|exists: maybe}",
        "fieldref": "{Image|fieldref: ParentImage}",
        "fieldref-wildcard": "{Image|fieldref: 'Parent*'}",
        "contains-of-null": "{Image|contains: ~}",
        "base64-of-number": "{Image|base64: 5}",
        "base64offset-wildcard": "{Image|base64offset: 'a*'}",
        "expand-without-value": "{Image|expand: '%nobody%'}",
        "wildcard-on-a-port": "{DestinationPort: '*8'}",
        "timepart": "{UtcTime|hour: 5}",
    }.items():
        yield f"selection-{name}", _HEAD + f"detection: {{s: {selection}, condition: s}}\n"
    yield "hashes-unknown", _HEAD + "detection: {s: {Hashes: 'SHA9=00'}, condition: s}\n"
    long = "x" * 2000
    yield "too-long-to-fold", _HEAD + f"detection: {{s: {{Image: '{long}'}}, condition: s}}\n"


def _conditions() -> Iterator[tuple[str, str]]:
    for name, condition in {
        "empty": "''",
        "null": "~",
        "number": "5",
        "list-of-lists": "[[s]]",
        "mapping": "{a: b}",
        "unknown": "nothing",
        "unknown-of": "1 of nothing*",
        "all-of-unknown": "all of nothing*",
        "half": "s and",
        "starts": "and s",
        "twice": "s s",
        "open": "(s",
        "closed": "s)",
        "empty-brackets": "()",
        "count": "s | count() > 5",
        "near": "s | near x",
        "zero-of": "0 of s*",
        "many-of": "7 of s*",
        "injection": "s; DROP TABLE",
        "deep-not": "not " * 5000 + "s",
    }.items():
        text = condition if condition[0] in "'~5[{" else f"'{condition}'"
        yield f"condition-{name}", _HEAD + f"detection: {{s: {{Image: a}}, condition: {text}}}\n"
    yield "timeframe", _HEAD + "detection: {s: {Image: a}, timeframe: 5m, condition: s}\n"


def _elastic() -> Iterator[tuple[str, str]]:
    for name, block in {
        "text": "x",
        "list": "[a]",
        "unknown-key": "{indx: [a]}",
        "language": "{language: sql}",
        "interval": "{interval: soon}",
        "lookback": "{lookback: -5m}",
        "risk": "{risk_score: 101}",
        "risk-text": "{risk_score: high}",
        "signals": "{max_signals: 0}",
        "type": "{type: machine_learning}",
        "threshold": "{type: threshold}",
        "new-terms": "{type: new_terms}",
        "index": "{index: {a: b}}",
        "two-families": "{index: [logs-endpoint.events.api-*, winlogbeat-*]}",
        "variants": "{variants: 5}",
        "variant-key": "{variants: {defend: {indx: [a]}}}",
        "variant-unknown": "{variants: [nosuch]}",
        "enabled": "{enabled: maybe}",
        "environments": "{environments: [nosuch]}",
        "two-notes": "{note: a, note_file: b}",
        "note-file": "{note_file: nowhere.md}",
        "query": "{query: 'a:(b'}",
        "query-type": "{query: [a]}",
        "mapping-list": "{severity_mapping: [a]}",
        "actions": "{actions: [mail]}",
    }.items():
        yield f"elastic-{name}", f"{_RULE}elastic: {block}\n"


def _cases() -> Iterator[tuple[str, str]]:
    for name, cases in {
        "text": "x",
        "list-of-text": "[x]",
        "no-expect": "[{scenario: attack/prototype}]",
        "unknown-expect": "[{expect: maybe, scenario: attack/prototype}]",
        "no-events": "[{expect: alert}]",
        "both": "[{expect: alert, scenario: a, events: [{a: b}]}]",
        "events-text": "[{expect: alert, events: [a]}]",
        "count": "[{expect: alert, events: [{a: b}], count: -1}]",
        "item": "[{expect: alert, events: [{a: b}], item: x}]",
        "unknown-key": "[{expect: alert, events: [{a: b}], evnts: x}]",
        "clash": "[{expect: alert, events: [{a: x, a.b: y}]}]",
    }.items():
        yield f"case-{name}", f"{_RULE}tests: {cases}\n"
