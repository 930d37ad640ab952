"""Reads rule files: `load_rules` never stops at a bad one."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, TypeVar
from uuid import NAMESPACE_URL, UUID, uuid5

from ruledeploy.errors import Collector, RuleError
from ruledeploy.model import Finding
from ruledeploy.sigma.cases import read_tests
from ruledeploy.sigma.collection import written_out
from ruledeploy.sigma.elastic import ElasticBlock, read_elastic
from ruledeploy.sigma.filters import check_filter
from ruledeploy.sigma.reading import Reader, nearest, refusing
from ruledeploy.sigma.source import Kind, LogSource, RuleHead, RuleSource, RuleSources
from ruledeploy.yamldoc import YamlDoc, load_all

STATUSES = ("stable", "test", "experimental", "deprecated", "unsupported")
LEVELS = ("informational", "low", "medium", "high", "critical")
_DATE = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})")
YAML = (".yml", ".yaml")

Head = TypeVar("Head", bound=RuleHead)


def load_rules(files: Mapping[str, bytes]) -> RuleSources:
    """Every rule, correlation and filter of the YAML files, in the order of their paths.

    `files` maps paths to contents. A rule with an error is left out and the error kept; the
    second of two rules with one id is left out too.
    """
    loaded = [load_file(path, files[path]) for path in sorted(files) if path.endswith(YAML)]
    collector = Collector()
    for each in loaded:
        collector.errors.extend(each.errors)
    rules = tuple(without_repeats([rule for each in loaded for rule in each.rules], collector))
    findings = tuple(finding for each in loaded for finding in each.findings)
    return RuleSources(rules, tuple(collector.errors), findings)


def load_file(path: str, data: bytes, only: Kind | None = None) -> RuleSources:
    """Every document of one file (or those of one kind); a wrong one never stops the others."""
    collector = Collector()
    findings: list[Finding] = []
    rules: list[RuleSource] = []
    with collector.collect():
        documents = [doc for doc in load_all(data, path) if only in {None, kind_of(doc.value)}]
        rules += _read_file(documents, collector, findings)
    return RuleSources(tuple(rules), tuple(collector.errors), tuple(findings))


def _read_file(
    documents: list[YamlDoc], collector: Collector, findings: list[Finding]
) -> Iterator[RuleSource]:
    with collector.collect():
        for number, doc in enumerate(written_out(documents)):
            with collector.collect(), refusing(doc.at("title")):
                yield from _read_document(doc, number, findings)


def _read_document(doc: YamlDoc, number: int, findings: list[Finding]) -> Iterator[RuleSource]:
    if not isinstance(doc.value, Mapping):
        raise RuleError("a rule is a mapping", location=doc.at(), hint="start with  title: …")
    errors = Collector()
    rule = _read(Reader(doc, errors, (), doc.value), number, findings)
    errors.raise_if_any()
    yield rule


def _read(reader: Reader, number: int, findings: list[Finding]) -> RuleSource:
    raw, doc = reader.value, reader.doc
    kind = kind_of(raw)
    title = reader.text("title")
    if not title:
        reader.wrong("title", "a rule needs a title")
    elastic, tests = _elastic(reader)
    if kind == "rule":
        _require_detection(reader, elastic)
    if kind == "filter":
        check_filter(reader)
    if kind == "correlation":
        from ruledeploy.sigma.correlation import read_correlation  # noqa: PLC0415 - loads slowly

        read_correlation(reader)
    return RuleSource(
        path=doc.path,
        doc=doc,
        kind=kind,
        id=_id(reader, number, findings),
        title=title or "",
        location=doc.at("title"),
        id_location=doc.at("id"),
        logsource=_logsource(reader, required=kind != "correlation" and elastic.query is None),
        raw=raw,
        name=reader.text("name"),
        status=_word(reader, "status", STATUSES),
        level=_word(reader, "level", LEVELS),
        tags=tuple(today(tag) for tag in reader.texts("tags")),
        description=reader.text("description") or "",
        falsepositives=reader.texts("falsepositives"),
        references=reader.texts("references"),
        author=reader.text("author"),
        date=_date(reader),
        license=reader.text("license"),
        fields=reader.texts("fields"),
        elastic=elastic,
        tests=(*read_tests(reader), *tests),
    )


def kind_of(raw: Any) -> Kind:
    """What a document is, by the keys that only its kind has."""
    if not isinstance(raw, Mapping):
        return "rule"
    if "correlation" in raw:
        return "correlation"
    return "filter" if "filter" in raw else "rule"


def _require_detection(reader: Reader, elastic: ElasticBlock) -> None:
    detection = reader.value.get("detection")
    if detection is None and elastic.query is not None:
        return
    if detection is not None and not isinstance(detection, Mapping):
        reader.wrong("detection", "must be a mapping", "selection: {field: value}")
    elif detection is None:
        reader.wrong("detection", "a rule needs a detection", _missing_key_hint(reader))
    elif "condition" not in detection:
        below = reader.below("detection", detection)
        below.wrong("condition", "a detection needs a condition", "condition: selection")


def _missing_key_hint(reader: Reader) -> str:
    others = [str(key) for key in reader.value if str(key) not in {"description", "date"}]
    close = nearest("detection", others)
    return f"the key is `detection`; {close}" if close.startswith("did") else "or `elastic.query`"


def _id(reader: Reader, number: int, findings: list[Finding]) -> str:
    text = reader.text("id")
    if text is None:
        suffix = f"#{number}" if number else ""
        made = str(uuid5(NAMESPACE_URL, f"ruledeploy:{reader.doc.path}{suffix}"))
        message = "the rule has no id; one was made from its path, and moving the file changes it"
        place = reader.doc.at("title")
        findings.append(Finding("warning", "rule-without-id", message, place, f"id: {made}"))
        return made
    try:
        return str(UUID(text))
    except ValueError:
        reader.wrong(
            "id", f"{text!r} is not a UUID", "python3 -c 'import uuid; print(uuid.uuid4())'"
        )
        return ""


def _logsource(reader: Reader, *, required: bool) -> LogSource:
    value = reader.value.get("logsource")
    if value is None and not required:
        return LogSource()
    if value is None:
        reader.wrong("logsource", "a rule needs a logsource", "product, category or service")
        return LogSource()
    below = reader.below("logsource", value)
    texts = {name: below.text(name) for name in ("product", "category", "service")}
    return LogSource(**{name: text.lower() if text else None for name, text in texts.items()})


def _elastic(reader: Reader) -> tuple[ElasticBlock, tuple[Any, ...]]:
    value = reader.value.get("elastic")
    if value is None:
        return ElasticBlock(), ()
    below = reader.below("elastic", value)
    return read_elastic(below), read_tests(below)


def _word(reader: Reader, key: str, choices: Collection[str]) -> str | None:
    """One of the words in any letter case, as pySigma reads them."""
    value = reader.value.get(key)
    if isinstance(value, str) and value.lower() in choices:
        return value.lower()
    return reader.choice(key, choices)


def _date(reader: Reader) -> str | None:
    text = reader.text("date")
    if text is None:
        return None
    try:
        if found := _DATE.fullmatch(text.strip()):
            return dt.date(*(int(part) for part in found.groups())).isoformat()
    except ValueError:
        pass
    reader.wrong("date", f"{text!r} is not a date", "write YYYY-MM-DD")
    return None


def today(tag: str) -> str:
    """A tag in today's spelling: `attack.defense_evasion` is `attack.defense-evasion`."""
    low = tag.strip().lower()
    return low.replace("_", "-") if low.startswith("attack.") else low


def without_repeats(rules: Iterable[Head], collector: Collector) -> Iterator[Head]:
    """The first rule of each id; the others are errors."""
    first: dict[str, Head] = {}
    for rule in rules:
        before = first.setdefault(rule.id, rule)
        if before is rule:
            yield rule
            continue
        message = f"the id {rule.id} is taken by {before.path!r} ({before.id_location})"
        collector.add(RuleError(message, location=rule.id_location, hint="give one a new id"))


def note_text(rule: RuleHead, files: Mapping[str, bytes]) -> str | None:
    """The investigation guide: `elastic.note`, or the file `elastic.note_file` names.

    The path is relative to the rule's folder. Raises `RuleError` when the file is not there.
    """
    name = rule.elastic.note_file
    if name is None:
        return rule.elastic.note
    path = str(PurePosixPath(rule.path).parent / name)
    if path not in files:
        raise RuleError(f"there is no file {path!r}", location=rule.elastic.location)
    return files[path].decode("utf-8", "replace")
