"""One rule file → its outcome: the unit of work of a process, and the unit of the cache.

An outcome depends on the file and the recipe alone. What depends on other files (ids taken twice,
filters, correlations, notes kept in a file) is decided afterwards, by `release`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from msgspec import MsgspecError
from msgspec.json import decode

from ruledeploy import errors as tree
from ruledeploy.errors import Collector, Location, Problems, RuledeployError, RuleError, SourceError
from ruledeploy.model import (
    DetectionRule,
    Environment,
    Finding,
    JsonObject,
    Provenance,
    digest,
)
from ruledeploy.sigma import RuleHead, RuleSource, load_file, refusing

if TYPE_CHECKING:
    from ruledeploy.compile.rule import RuleCompiler

_LINES = json.JSONEncoder(ensure_ascii=False, sort_keys=True)
# What Sigma calls a rule that must no longer run.
RETIRED = frozenset({"deprecated", "unsupported"})
# Of an environment, what no compiled rule depends on.
_ELSEWHERE = frozenset(
    {
        "api_key", "ca_certs", "ca_fingerprint", "client_cert", "client_key", "proxy",
        "confirm", "elasticsearch_url", "kibana_url", "line", "overlays",
        "password", "policy", "space", "username", "verify_certs",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recipe:
    """What, beside a file, decides what it becomes.

    `marker` is the tag that says an object is ours; `env_names` are the project's environments.
    `retired`: rules that Sigma calls deprecated or unsupported are compiled too.
    """

    env: Environment
    marker: str
    env_names: tuple[str, ...]
    retired: bool = False

    def fingerprint(self) -> str:
        """Equal for recipes that make the same rules of any file."""
        env = {name: value for name, value in asdict(self.env).items() if name not in _ELSEWHERE}
        return digest([env, self.marker, self.env_names, self.retired])


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as plain values; `kind` is the name of its class."""

    kind: str
    message: str
    location: Location | None = None
    hint: str | None = None

    def error(self) -> RuledeployError:
        """The error itself."""
        kind = getattr(tree, self.kind, RuleError)
        known = isinstance(kind, type) and issubclass(kind, SourceError)
        made: RuledeployError = (kind if known else RuleError)(
            self.message, location=self.location, hint=self.hint
        )
        return made


@dataclass(frozen=True, slots=True)
class WrittenRule:
    """A `DetectionRule` whose body is written out: a line of NDJSON, keys sorted.

    Most bodies are only passed on, and to read thousands of them takes longer than all the rest.
    """

    rule_id: str
    name: str
    line: str
    family: str
    provenance: Provenance
    replaces: str | None = None

    @staticmethod
    def of(rule: DetectionRule) -> WrittenRule:
        """The rule, written out."""
        line = _LINES.encode(rule.body)
        return WrittenRule(
            rule.rule_id, rule.name, line, rule.family, rule.provenance, rule.replaces
        )

    def read(self) -> DetectionRule:
        """The rule itself."""
        return DetectionRule(self.body, self.family, self.provenance, self.replaces)

    @property
    def body(self) -> JsonObject:
        """What Kibana takes, read anew each time."""
        try:
            found: JsonObject = decode(self.line)
        except MsgspecError:  # what YAML can say and strict JSON cannot, such as .nan
            found = json.loads(self.line)
        return found


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A source and the rules it became here: none when it is not deployed, several by variants."""

    source: RuleHead
    rules: tuple[WrittenRule, ...] = ()
    findings: tuple[Finding, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """Everything one file became, in the order of its documents."""

    rules: tuple[CompiledRule, ...] = ()
    findings: tuple[Finding, ...] = ()
    problems: tuple[Problem, ...] = ()


def compile_file(recipe: Recipe, path: str, data: bytes) -> FileOutcome:
    """The outcome of one file. Never raises for what the file says."""
    sources = load_file(path, data)
    compiler = compiler_of(recipe)
    rules = tuple(compile_source(recipe, compiler, source) for source in sources.rules)
    return FileOutcome(rules, sources.findings, problems(sources.errors))


def compiler_of(recipe: Recipe) -> RuleCompiler:
    """What compiles for a recipe; pySigma is loaded here, so not in a run that finds all kept."""
    from ruledeploy.compile.rule import RuleCompiler  # noqa: PLC0415 - loads slowly

    return RuleCompiler(recipe.env, recipe.marker)


def compile_source(
    recipe: Recipe,
    compiler: RuleCompiler,
    source: RuleSource,
    filters: Sequence[RuleSource] = (),
) -> CompiledRule:
    """One document; a correlation or filter, which needs other documents, stays as it is."""
    collector = Collector()
    made: tuple[DetectionRule, ...] = ()
    findings: tuple[Finding, ...] = ()
    # A rule that does not compile is still known: an overlay that names it is right.
    with collector.collect(), refusing(source.location):
        check_environments(source, recipe)
        if is_deployed(source, recipe) and source.kind == "rule":
            made, findings = compiler.compile(source, filters)
    rules = tuple(WrittenRule.of(rule) for rule in made)
    return CompiledRule(source.head(), rules, findings, problems(collector.errors))


def check_environments(source: RuleSource, recipe: Recipe) -> None:
    """Raises `RuleError` for one of a source's `environments` that the project does not have."""
    names = recipe.env_names
    for name in source.elastic.environments:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
            place = source.doc.at("elastic", "environments")
            raise RuleError(f"no environment {name!r}", location=place, hint=hint)


def is_deployed(head: RuleHead, recipe: Recipe) -> bool:
    """Whether a document counts in this environment: not retired, not for others alone.

    A retired filter never narrows anything.
    """
    if head.status in RETIRED and not (recipe.retired and head.kind != "filter"):
        return False
    return not head.elastic.environments or recipe.env.name in head.elastic.environments


def note(source: RuleHead, text: str | None) -> str:
    """The investigation guide: the author's text, and the file the rule comes from."""
    return f"{(text or '').rstrip()}\n\nSource: `{source.path}`".strip()


def problems(found: Iterable[RuledeployError]) -> tuple[Problem, ...]:
    """Errors as plain values, taken apart."""
    flat: list[Problem] = []
    for error in found:
        inner = error.errors if isinstance(error, Problems) else (error,)
        flat += [Problem(type(e).__name__, e.message, e.location, e.hint) for e in inner]
    return tuple(flat)
