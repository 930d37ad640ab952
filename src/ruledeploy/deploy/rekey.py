"""Whose key the rules run with, and making it the caller's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ruledeploy.deploy.objects import Ref
from ruledeploy.deploy.records import Applied
from ruledeploy.errors import PartialError, RuledeployError, Unreachable
from ruledeploy.kibana import Kibana


@dataclass(frozen=True, slots=True)
class KeyMove:
    """One enabled rule of ours that is to run as the caller; `uuid` is Kibana's own id."""

    uuid: str
    rule_id: str
    name: str
    written_by: str

    def to_json(self) -> dict[str, str]:
        """Plain form `{rule_id, name, written_by}`."""
        return {"rule_id": self.rule_id, "name": self.name, "written_by": self.written_by}


def key_moves(kibana: Kibana, applied: Applied) -> tuple[KeyMove, ...]:
    """Every enabled rule of ours, by name.

    A rule runs with the key of whoever created, enabled or last wrote it, and stops when that
    key ends. A disabled rule takes the key of whoever enables it, so it is left alone.
    """
    ours = [ref.id for ref in applied.objects if ref.kind == "rule"]
    moves = [
        KeyMove(body["id"], body["rule_id"], body["name"], body["updated_by"])
        for body in kibana.rules.find(ids=ours).objects
        if body["enabled"] and applied.owns(Ref("rule", body["rule_id"]), body)
    ]
    return tuple(sorted(moves, key=lambda move: (move.name, move.rule_id)))


def rekey(
    kibana: Kibana,
    moves: Sequence[KeyMove],
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Make these rules run as the caller from now on; returns how many.

    Raises `PartialError` naming the rules that kept their key, or the first error when none
    moved; `KeyboardInterrupt` between two rules once `stopped()`. Doing it again does no harm.
    """
    failures: list[tuple[KeyMove, RuledeployError]] = []
    done = 0
    for move in moves:
        if stopped():
            raise KeyboardInterrupt
        try:
            kibana.update_api_key(move.uuid)
            done += 1
        except RuledeployError as error:
            failures.append((move, error))
            if isinstance(error, Unreachable):
                break  # the next would fare no better
    if failures and not done:
        raise failures[0][1]
    if failures:
        lines = [f"{done} of {len(moves)} rules moved to the present key; the others kept theirs:"]
        lines += [f"  {move.name} ({move.rule_id}): {error.message}" for move, error in failures]
        raise PartialError("\n".join(lines), hint="run rekey again")
    return done
