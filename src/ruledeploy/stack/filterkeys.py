"""The keys that a filter over saved objects may name: those that the saved objects' mappings have.

A key is `type.attributes.name`, or `type.name` for what every saved object has.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What every saved object has beside its attributes.
_COMMON = _names(
    """
    id type namespace namespaces originId references references.id references.name references.type
    created_at updated_at coreMigrationVersion typeMigrationVersion managed
    """
)
_RULE = _names(
    """
    enabled name name.keyword tags alertTypeId schedule schedule.interval consumer legacyId
    actions actions.group actions.actionRef actions.actionTypeId params
    mapped_params mapped_params.risk_score mapped_params.severity scheduledTaskId
    createdBy updatedBy createdAt updatedAt throttle notifyWhen muteAll mutedInstanceIds revision
    snoozeSchedule snoozeSchedule.id snoozeSchedule.duration snoozeSchedule.skipRecurrences
    executionStatus executionStatus.numberOfTriggeredActions executionStatus.status
    executionStatus.lastExecutionDate executionStatus.lastDuration
    executionStatus.error executionStatus.error.reason executionStatus.error.message
    executionStatus.warning executionStatus.warning.reason executionStatus.warning.message
    lastRun lastRun.outcome lastRun.outcomeOrder lastRun.alertsCount lastRun.alertsCount.active
    lastRun.alertsCount.new lastRun.alertsCount.recovered lastRun.alertsCount.ignored running
    """
)
_EXCEPTION = _names(
    """
    _tags created_at created_by description immutable list_id list_type meta name name.text
    tags tags.text tie_breaker_id type updated_by version
    comments comments.comment comments.created_at comments.created_by comments.id
    comments.updated_at comments.updated_by
    entries entries.entries entries.entries.field entries.entries.operator entries.entries.type
    entries.entries.value entries.entries.value.text entries.field entries.list entries.list.id
    entries.list.type entries.operator entries.type entries.value entries.value.text
    expire_time item_id os_types
    """
)
_ATTRIBUTES = MappingProxyType(
    {"alert": _RULE, "exception-list": _EXCEPTION, "exception-list-agnostic": _EXCEPTION}
)
# Objects mapped as `flattened`, or of figures that nobody counts here: any key below is there.
_OPEN = MappingProxyType({"alert": ("params.", "monitoring")})


class ScopeError(ValueError):
    """The filter names a key that the objects searched do not have."""


def check_keys(keys: Sequence[str | None], types: Sequence[str]) -> None:
    """Refuse what the saved-object client refuses; None is a value without a key."""
    for key in keys:
        wrapped = f"wrapped by a saved object type like {','.join(types)}"
        if key is None:
            raise ScopeError(f"The key is empty and needs to be {wrapped}")
        kind, dot, rest = key.partition(".")
        if not dot:
            raise ScopeError(f"This key '{key}' need to be {wrapped}")
        if kind not in types:
            raise ScopeError(f"This type {kind} is not allowed")
        _check_attribute(key, kind, rest, types)


def _check_attribute(key: str, kind: str, rest: str, types: Sequence[str]) -> None:
    attribute = rest.removeprefix("attributes.")
    if attribute == rest and rest not in _COMMON and ("." in rest or _mapped(kind, rest)):
        form = "SavedObjectType.attributes.key"
        raise ScopeError(f"This key '{key}' does NOT match the filter proposition {form}")
    if rest not in _COMMON and (attribute == rest or not _mapped(kind, attribute)):
        patterns = f"{','.join(types)} saved object index patterns"
        raise ScopeError(f"This key '{key}' does NOT exist in {patterns}")


def _mapped(kind: str, attribute: str) -> bool:
    return attribute in _ATTRIBUTES[kind] or attribute.startswith(_OPEN.get(kind, ()))
