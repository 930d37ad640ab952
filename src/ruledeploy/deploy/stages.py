"""`stages(plan)`: the side effects of a plan, typed and in the order that keeps the gap promise.

With A the state before and B the state after, at every moment an event alerts only if it alerts
under A or under B. So whatever hides more comes first, then each rule in one write, and whatever
hides less comes last. `plan --stages` prints this list and `apply` carries it out: the same list.
"""

from __future__ import annotations

from dataclasses import dataclass

from ruledeploy.deploy.objects import Kind
from ruledeploy.deploy.plan import Phase, Plan, Write


@dataclass(frozen=True, slots=True)
class RemoveDuplicates:
    """Delete younger copies of a rule_id, so that a PUT by rule_id hits the one we mean."""

    writes: tuple[Write, ...]


@dataclass(frozen=True, slots=True)
class WriteValueLists:
    """Create value lists and add values."""

    writes: tuple[Write, ...]


@dataclass(frozen=True, slots=True)
class ReadValuesBack:
    """Read the value lists: no item looks for a value before it is surely there."""

    writes: tuple[Write, ...]


@dataclass(frozen=True, slots=True)
class WriteLists:
    """Create exception lists and rewrite their texts; Kibana names each uuid."""

    writes: tuple[Write, ...]


@dataclass(frozen=True, slots=True)
class WriteItems:
    """Create new items, and edit in place those that hide no less than before."""

    writes: tuple[Write, ...]


@dataclass(frozen=True, slots=True)
class ReadItemsBack:
    """Read the written items: no rule is touched before its exceptions are surely there."""

    writes: tuple[Write, ...]


@dataclass(frozen=True, slots=True)
class EditItems:
    """Edit entries in place; a copy with the old entries stands beside each until the end."""

    writes: tuple[Write, ...]


@dataclass(frozen=True, slots=True)
class YieldRules:
    """Disable rules whose own exception list goes to their successors: one rule may link it."""

    writes: tuple[Write, ...]


@dataclass(frozen=True, slots=True)
class WriteRules:
    """Create or replace rules, each with links and enabled flag in one write."""

    writes: tuple[Write, ...]


@dataclass(frozen=True, slots=True)
class ReadRulesBack:
    """Read the written rules before anything that they no longer need goes away."""

    writes: tuple[Write, ...]


@dataclass(frozen=True, slots=True)
class RemoveRules:
    """Delete rules; before their exceptions go."""

    writes: tuple[Write, ...]


@dataclass(frozen=True, slots=True)
class RemoveItems:
    """Delete old items, and edit in place those that hide less than before."""

    writes: tuple[Write, ...]


@dataclass(frozen=True, slots=True)
class RemoveLists:
    """Delete lists that no rule links any more."""

    writes: tuple[Write, ...]


@dataclass(frozen=True, slots=True)
class RemoveValues:
    """Delete values that value lists no longer hold."""

    writes: tuple[Write, ...]


@dataclass(frozen=True, slots=True)
class WriteRecord:
    """Say in the record that all of the above is done."""

    n: int
    writes: tuple[Write, ...] = ()


Stage = (
    RemoveDuplicates
    | WriteValueLists
    | ReadValuesBack
    | WriteLists
    | WriteItems
    | ReadItemsBack
    | EditItems
    | YieldRules
    | WriteRules
    | ReadRulesBack
    | RemoveRules
    | RemoveItems
    | RemoveLists
    | RemoveValues
    | WriteRecord
)


def stages(plan: Plan) -> tuple[Stage, ...]:
    """The stages that have something to do, in order; the record is always last."""

    def of(phase: Phase, kind: Kind) -> tuple[Write, ...]:
        return tuple(w for w in plan.writes if w.phase == phase and w.ref.kind == kind)

    values = of("hide", "value_list")
    linked = of("rule", "prebuilt")
    items, edits, rules = of("hide", "item"), of("edit", "item"), of("rule", "rule")
    ordered: tuple[Stage, ...] = (
        RemoveDuplicates(of("hide", "rule")),
        WriteValueLists(values),
        ReadValuesBack(values),
        WriteLists(of("hide", "list")),
        WriteItems(items),
        ReadItemsBack(items),
        EditItems(edits),
        ReadItemsBack(edits),
        YieldRules(of("yield", "rule")),
        WriteRules(rules),
        ReadRulesBack(rules),
        WriteRules(linked),
        ReadRulesBack(linked),
        RemoveRules(of("unhide", "rule")),
        RemoveItems(of("unhide", "item")),
        RemoveLists(of("unhide", "list")),
        RemoveValues(of("unhide", "value_list")),
    )
    return (*(stage for stage in ordered if stage.writes), WriteRecord(plan.base_record + 1))
