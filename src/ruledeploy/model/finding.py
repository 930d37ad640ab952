"""What a check has to say: never raised, always collected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ruledeploy.errors import Location

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One observation on a source: `code` is a stable kebab-case name users can ignore by."""

    severity: Severity
    code: str
    message: str
    location: Location
    hint: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain form; renderers read only this."""
        return {
            "severity": self.severity,
            "code": self.code,
            "message": self.message,
            "path": self.location.path,
            "line": self.location.line,
            "column": self.location.column,
            "hint": self.hint,
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> Finding:
        """The finding whose `to_json` this is."""
        place = Location(value["path"], value["line"], value["column"])
        return Finding(value["severity"], value["code"], value["message"], place, value["hint"])
