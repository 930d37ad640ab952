"""A rule as its file says it, before anything is decided for an environment."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Literal

from ruledeploy.errors import Location, RuledeployError
from ruledeploy.model import Finding, JsonObject, TestCase
from ruledeploy.sigma.elastic import ElasticBlock
from ruledeploy.yamldoc import YamlDoc

Kind = Literal["rule", "correlation", "filter"]


@dataclass(frozen=True, slots=True)
class LogSource:
    """Where the events come from, in Sigma's words."""

    product: str | None = None
    category: str | None = None
    service: str | None = None

    @property
    def key(self) -> str:
        """The key of `[defaults.indices]`: `windows/api`, `windows/security`, `windows`, or ``.

        A category wins over a service, since it names one kind of event.
        """
        return "/".join(part for part in (self.product, self.category or self.service) if part)

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys to look for, most specific first; the last is the product alone."""
        product, category, service = self.product, self.category, self.service
        tries = ((product, category, service), (product, category), (product, service), (product,))
        found = ("/".join(part for part in each if part) for each in tries)
        return tuple(dict.fromkeys(key for key in found if key))


@dataclass(frozen=True, slots=True)
class RuleHead:
    """What is known of one document of a rule file besides its detection, as plain values.

    `id` is a uuid in lower case; `status`, `level` and `date` (ISO) are None when absent.
    `tags` are in today's spelling (`attack.defense-evasion`). `location` is the title's place.
    """

    path: str
    kind: Kind
    id: str
    title: str
    location: Location
    id_location: Location
    logsource: LogSource
    name: str | None = None
    status: str | None = None
    level: str | None = None
    tags: tuple[str, ...] = ()
    description: str = ""
    falsepositives: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    author: str | None = None
    date: str | None = None
    license: str | None = None
    fields: tuple[str, ...] = ()
    elastic: ElasticBlock = field(default_factory=ElasticBlock)
    tests: tuple[TestCase, ...] = ()


_head_of = attrgetter(*(each.name for each in fields(RuleHead)))


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSource(RuleHead):
    """One document of a rule file, with its text's positions; `raw` is the document itself."""

    doc: YamlDoc
    raw: JsonObject

    def head(self) -> RuleHead:
        """The same without the document: small, and fit to be stored."""
        return RuleHead(*_head_of(self))


@dataclass(frozen=True, slots=True)
class RuleSources:
    """Everything read from a set of files: one bad file never stops the others."""

    rules: tuple[RuleSource, ...] = ()
    errors: tuple[RuledeployError, ...] = ()
    findings: tuple[Finding, ...] = ()
