"""A rule as its file says it, before anything is decided for an environment."""

from __future__ import annotations

from dataclasses import dataclass, field
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
class RuleSource:
    """One document of a rule file.

    `id` is a uuid in lower case; `status`, `level` and `date` (ISO) are None when absent.
    `tags` are in today's spelling (`attack.defense-evasion`). `raw` is the document itself.
    """

    path: str
    doc: YamlDoc
    kind: Kind
    id: str
    title: str
    logsource: LogSource
    raw: JsonObject
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

    @property
    def location(self) -> Location:
        """Where the document starts."""
        return self.doc.at("title")


@dataclass(frozen=True, slots=True)
class RuleSources:
    """Everything read from a set of files: one bad file never stops the others."""

    rules: tuple[RuleSource, ...] = ()
    errors: tuple[RuledeployError, ...] = ()
    findings: tuple[Finding, ...] = ()
