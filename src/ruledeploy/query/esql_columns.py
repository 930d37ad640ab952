"""Which columns a pipe of ES|QL shows, and in what order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from ruledeploy.query.esql_pipe import Command, Drop, Eval, Keep, Rename, Stats


def columns_shown(commands: Iterable[Command], columns: Sequence[str]) -> list[str]:
    """The names that the commands leave of the index's columns, as Elasticsearch orders them.

    A computed column comes last, also when it takes the name of another; a renamed one stays where
    it is; `keep` has its own order.
    """
    shown = list(columns)
    for command in commands:
        match command:
            case Eval(made):
                for name, _ in made:
                    shown = [*(one for one in shown if one != name), name]
            case Keep(patterns):
                shown = _kept(shown, patterns)
            case Drop(patterns):
                shown = [one for one in shown if not any(fnmatchcase(one, p) for p in patterns)]
            case Rename(pairs):
                for old, new in pairs:
                    rest = [one for one in shown if one == old or one != new]
                    shown = [new if one == old else one for one in rest]
            case Stats(aggregates, groups):
                shown = [name for name, _ in (*aggregates, *groups)]
            case _:
                pass
    return list(dict.fromkeys(shown))


def _kept(columns: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """In the order of the patterns, each column at the pattern that says most about it.

    A whole name says more than a pattern, and that more than `*`; of two that say as much the last
    one counts.
    """
    places: dict[str, tuple[int, int]] = {}
    for at, pattern in enumerate(patterns):
        says = 0 if pattern == "*" else 1 if "*" in pattern else 2
        for name in columns:
            if fnmatchcase(name, pattern) and (says, at) >= places.get(name, (0, 0)):
                places[name] = (says, at)
    return sorted(places, key=lambda name: (places[name][1], columns.index(name)))
