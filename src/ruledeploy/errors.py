"""Every error the program raises on purpose.

    RuledeployError                 exit 1   something is wrong; nothing was written
    ├── SourceError                          a file says something wrong (has a location)
    │   ├── YamlError                        not YAML, or YAML we refuse (too deep, too big)
    │   ├── ConfigError                      ruledeploy.toml
    │   ├── RuleError                        a Sigma rule, its `elastic:` block or its tests
    │   ├── OverlayError                     an allowlist overlay
    │   ├── ScenarioError                    a telemetry scenario
    │   └── QueryError                       a query does not parse
    │       └── UnsupportedQuery             it parses, but uses what we do not evaluate
    ├── ServerError                          an HTTP peer failed us (has a URL)
    │   ├── Unreachable                      no answer at all
    │   ├── AnswerLost                       the request may or may not have been carried out
    │   ├── NotAuthorized                    401 or 403
    │   ├── NotThere                         404
    │   └── AlreadyThere                     409
    ├── RefusedError                exit 3   stale plan, lock, conflict, hold, policy
    ├── PartialError                exit 4   partly applied, or unhealthy afterwards
    ├── UsageError                  exit 64  the command line makes no sense
    └── Problems                             many of the above at once; exits with the worst

Many problems are reported at once: stages collect into a `Collector` and raise one `Problems`.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A place in a file: path as the user knows it, line and column from 1 (0: unknown)."""

    path: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """Render as `path:line:column`, which editors and terminals turn into links."""
        parts = [self.path, *(str(n) for n in (self.line, self.column) if n)]
        return ":".join(parts)


class RuledeployError(Exception):
    """The root: a message, where it happened, and the way out."""

    exit_code: ClassVar[int] = 1

    def __init__(
        self, message: str, *, location: Location | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.location = location
        self.hint = hint

    def __str__(self) -> str:
        """Render as `location: message (hint)`, leaving out what is unknown."""
        where = f"{self.location}: " if self.location else ""
        way_out = f" ({self.hint})" if self.hint else ""
        return f"{where}{self.message}{way_out}"


class SourceError(RuledeployError):
    """A file the user wrote says something wrong."""


class YamlError(SourceError):
    """Text is not YAML, or is YAML we refuse to read."""


class ConfigError(SourceError):
    """`ruledeploy.toml` is wrong."""


class RuleError(SourceError):
    """A Sigma rule, its `elastic:` block or its tests are wrong."""


class OverlayError(SourceError):
    """An allowlist overlay is wrong."""


class ScenarioError(SourceError):
    """A telemetry scenario is wrong."""


class QueryError(SourceError):
    """A query does not parse; `position` is the offset in the query text, from 0."""

    def __init__(
        self,
        message: str,
        *,
        position: int = 0,
        location: Location | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, location=location, hint=hint)
        self.position = position


class UnsupportedQuery(QueryError):
    """A query parses but names a construct that we do not evaluate; we refuse, never guess."""


class ServerError(RuledeployError):
    """An HTTP peer failed us. `url` never holds credentials."""

    def __init__(
        self,
        message: str,
        *,
        url: str,
        status: int | None = None,
        location: Location | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, location=location, hint=hint)
        self.url = url
        self.status = status

    def __str__(self) -> str:
        """Render as `url: message (hint)`."""
        way_out = f" ({self.hint})" if self.hint else ""
        return f"{self.url}: {self.message}{way_out}"


class Unreachable(ServerError):
    """No connection, so nothing was carried out."""


class AnswerLost(ServerError):
    """The connection broke or timed out after sending: the request may have been carried out."""


class NotAuthorized(ServerError):
    """401 or 403."""


class NotThere(ServerError):
    """404."""


class AlreadyThere(ServerError):
    """409: the id is taken, or the version moved."""


class RefusedError(RuledeployError):
    """We decline to go on: stale plan, lock, conflict, hold, policy. Nothing was written."""

    exit_code = 3


class PartialError(RuledeployError):
    """Some writes are done and some are not, or the result is unhealthy."""

    exit_code = 4


class UsageError(RuledeployError):
    """The command line makes no sense (sysexits' EX_USAGE, since 2 means "changes")."""

    exit_code = 64


class Problems(RuledeployError):
    """Several errors raised as one; `errors` are sorted by location."""

    def __init__(self, errors: Sequence[RuledeployError]) -> None:
        self.errors = tuple(sorted(errors, key=_place))
        super().__init__("\n".join(str(error) for error in self.errors))

    @property
    def worst_exit_code(self) -> int:
        """The highest exit code among the errors, so a partial write is never hidden."""
        return max(error.exit_code for error in self.errors)


def _place(error: RuledeployError) -> tuple[str, int, int, str]:
    place = error.location or Location("")
    return place.path, place.line, place.column, error.message


class Collector:
    """Collects errors so that one run reports all of them.

    with collector.collect():      # an error inside is kept, and the loop goes on
        ...
    collector.raise_if_any()
    """

    def __init__(self) -> None:
        self.errors: list[RuledeployError] = []

    def add(self, error: RuledeployError) -> None:
        """Keep an error; a `Problems` is taken apart."""
        self.errors.extend(error.errors if isinstance(error, Problems) else [error])

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Keep a `RuledeployError` raised in the block instead of letting it out."""
        try:
            yield
        except RuledeployError as error:
            self.add(error)

    def raise_if_any(self) -> None:
        """Raise the one error, or all of them as `Problems`; return when there is none."""
        if len(self.errors) == 1:
            raise self.errors[0]
        if self.errors:
            raise Problems(self.errors)
