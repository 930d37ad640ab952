"""Errors say where and how on; many are collected and raised as one."""

from __future__ import annotations

import inspect

import pytest

from ruledeploy import errors
from ruledeploy.errors import (
    Collector,
    Location,
    PartialError,
    Problems,
    RuledeployError,
    RuleError,
    Unreachable,
)


def test_a_message_names_place_and_way_out() -> None:
    """`location: message (hint)` is what logs show."""
    error = RuleError("bad", location=Location("r.yml", 3, 5), hint="fix it")
    assert str(error) == "r.yml:3:5: bad (fix it)"


def test_a_location_leaves_out_what_is_unknown() -> None:
    """Line 0 and column 0 mean unknown."""
    assert [str(Location("f")), str(Location("f", 2)), str(Location("f", 2, 1))] == [
        "f",
        "f:2",
        "f:2:1",
    ]


def test_a_server_error_names_its_url() -> None:
    """The URL takes the place of a file."""
    assert str(Unreachable("no answer", url="http://k:1", hint="start it")) == (
        "http://k:1: no answer (start it)"
    )


def test_collecting_goes_on_and_raises_all() -> None:
    """Every problem is reported, sorted by place; a group inside a group is taken apart."""
    collector = Collector()
    for line in (9, 2):
        with collector.collect():
            raise RuleError(f"at {line}", location=Location("r.yml", line))
    with collector.collect():
        raise Problems([RuleError("first", location=Location("a.yml", 1))])
    with pytest.raises(Problems) as caught:
        collector.raise_if_any()
    assert [error.message for error in caught.value.errors] == ["first", "at 2", "at 9"]


def test_one_problem_is_raised_as_itself() -> None:
    """No group of one, so that `except RuleError` works."""
    collector = Collector()
    collector.add(RuleError("only"))
    with pytest.raises(RuleError):
        collector.raise_if_any()


def test_no_problem_raises_nothing_and_other_errors_pass() -> None:
    """A bug inside a collecting block is not swallowed."""
    collector = Collector()
    with pytest.raises(ZeroDivisionError), collector.collect():
        _ = 1 / 0
    collector.raise_if_any()
    assert collector.errors == []


def test_the_worst_exit_code_wins() -> None:
    """A partial write is never hidden behind a lesser error."""
    assert Problems([RuleError("a"), PartialError("b")]).worst_exit_code == 4


def test_the_tree_at_the_top_names_every_error() -> None:
    """The drawing in the module's docstring cannot rot."""
    kinds = [
        name
        for name, value in inspect.getmembers(errors, inspect.isclass)
        if issubclass(value, RuledeployError)
    ]
    assert [name for name in kinds if name not in (errors.__doc__ or "")] == []
