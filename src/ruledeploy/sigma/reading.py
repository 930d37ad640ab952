"""Typed reading of a mapping: wrong values become errors that name the file and line."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from ruledeploy.errors import Collector, Location, RuledeployError, RuleError
from ruledeploy.model import JsonObject
from ruledeploy.yamldoc import YamlDoc

# JSON Schema of what the methods of `Reader` below take.
TEXT: JsonObject = {"type": ["string", "number"]}
TEXTS: JsonObject = {"anyOf": [TEXT, {"type": "array", "items": TEXT}]}
FLAG: JsonObject = {"type": "boolean"}
MAPPING: JsonObject = {"type": "object"}
MAPPINGS: JsonObject = {"type": "array", "items": MAPPING}


def whole(low: int, high: int) -> JsonObject:
    """JSON Schema of a whole number between two bounds."""
    return {"type": "integer", "minimum": low, "maximum": high}


def one_of(choices: Collection[str]) -> JsonObject:
    """JSON Schema of one of some words."""
    return {"enum": list(choices)}


_ADDRESS = re.compile(r" object at 0x[0-9a-f]+")


def nearest(word: str, known: Collection[str]) -> str:
    """A hint: the known word that looks most like `word`, else all of them."""
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else f"known: {', '.join(sorted(known))}"


def said(error: Exception) -> str:
    """An error's own words: without the absolute path that pySigma adds, or a memory address."""
    return _ADDRESS.sub("", Exception.__str__(error))


@contextmanager
def refusing(location: Location) -> Iterator[None]:
    """Whatever goes wrong in the block is this rule's error at `location`, not the run's end.

    pySigma and Python raise many kinds of errors on values nobody thought of.
    """
    try:
        yield
    except RuledeployError:
        raise
    except RecursionError as error:
        raise RuleError("this nests too deeply to be read", location=location) from error
    except Exception as error:
        message = f"this cannot be read: {type(error).__name__}: {said(error)}"
        raise RuleError(message[:500], location=location) from error


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the mapping at `doc.value[keys…]`; every reader of a file shares one `errors`.

    A missing or null key gives the default; a wrong one too, after noting the error.
    """

    doc: YamlDoc
    errors: Collector
    keys: tuple[str | int, ...] = ()
    value: Mapping[str, Any] = field(default_factory=dict)

    def wrong(self, key: str | int, message: str, hint: str | None = None) -> None:
        """Note an error at `key`."""
        place = self.doc.at(*self.keys, key)
        self.errors.add(RuleError(f"{key}: {message}", location=place, hint=hint))

    def below(self, key: str | int, value: Any) -> Reader:
        """A reader of the mapping at `key`; an empty one, with an error, when it is none."""
        if not isinstance(value, Mapping):
            self.wrong(key, "must be a mapping")
            value = {}
        return Reader(self.doc, self.errors, (*self.keys, key), value)

    def refuse_unknown(self, known: Collection[str]) -> None:
        """Note every key that is not known, with the nearest one that is."""
        for key in self.value:
            if key not in known:
                self.wrong(key, "unknown key", nearest(str(key), known))

    def text(self, key: str) -> str | None:
        """A text; numbers are taken as text, since authors seldom quote them."""
        value = self.value.get(key)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        self.wrong(key, "must be text")
        return None

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; one text alone counts as a list."""
        value = self.value.get(key)
        if value is None:
            return ()
        items = value if isinstance(value, list) else [value]
        if all([type(item) is str for item in items]):  # noqa: C419 - as nearly all are, and fast
            return tuple(items)
        if any(isinstance(item, list | Mapping | bool) or item is None for item in items):
            self.wrong(key, "must be a list of texts")
            return ()
        return tuple(str(item) for item in items)

    def integer(self, key: str, low: int, high: int) -> int | None:
        """A whole number from `low` to `high`."""
        value = self.value.get(key)
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        self.wrong(key, f"must be a whole number from {low} to {high}")
        return None

    def flag(self, key: str) -> bool | None:
        """A truth value."""
        value = self.value.get(key)
        if value is None or isinstance(value, bool):
            return value
        self.wrong(key, "must be true or false")
        return None

    def choice(self, key: str, choices: Collection[str]) -> str | None:
        """One of the given words."""
        value = self.value.get(key)
        if value is None or (isinstance(value, str) and value in choices):
            return value
        self.wrong(key, f"{value!r} is not allowed", nearest(str(value), choices))
        return None

    def mapping(self, key: str) -> Mapping[str, Any] | None:
        """A mapping, kept as it is."""
        value = self.value.get(key)
        if value is None or isinstance(value, Mapping):
            return value
        self.wrong(key, "must be a mapping")
        return None

    def mappings(self, key: str) -> tuple[Mapping[str, Any], ...]:
        """A list of mappings, kept as they are."""
        value = self.value.get(key)
        if value is None:
            return ()
        if isinstance(value, list) and all(isinstance(item, Mapping) for item in value):
            return tuple(value)
        self.wrong(key, "must be a list of mappings")
        return ()
