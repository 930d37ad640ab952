"""`ruledeploy.toml` as typed values: every key known, every type right, every problem reported."""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass
from typing import Any

from ruledeploy.errors import Collector, ConfigError, Location
from ruledeploy.project.positions import locate

Table = dict[str, Any]

TEXT, FLAG, NUMBER, TEXTS, TABLE = (
    "text",
    "true or false",
    "a number",
    "a list of text",
    "table",
)

PROJECT = {"name": TEXT, "rules": TEXTS, "exceptions": TEXT}
DEFAULTS = {
    "language": TEXT,
    "interval": TEXT,
    "lookback": TEXT,
    "attack_version": TEXT,
    "indices": TABLE,
    "placeholders": TABLE,
}
ENV = DEFAULTS | {
    "kibana_url": TEXT,
    "elasticsearch_url": TEXT,
    "cloud_id": TEXT,
    "space": TEXT,
    "api_key": TEXT,
    "username": TEXT,
    "password": TEXT,
    "ca_certs": TEXT,
    "ca_fingerprint": TEXT,
    "client_cert": TEXT,
    "client_key": TEXT,
    "proxy": TEXT,
    "verify_certs": FLAG,
    "exceptions": TEXTS,
    "confirm": FLAG,
    "policy": TABLE,
    "connectors": TABLE,
}
CONNECTOR = {"id": TEXT, "type": TEXT, "group": TEXT, "params": TABLE}
POLICY = {"exceptions": TABLE}
POLICY_EXCEPTIONS = {"require": TEXTS, "max_days": NUMBER, "warn_days": NUMBER}

SECRETS = frozenset({"api_key", "password"})
LANGUAGES = ("lucene", "eql", "esql", "kuery")
ATTACK_VERSIONS = ("v18", "v19")
REQUIRABLE = ("owner", "reason", "ticket")
DURATION = re.compile(r"^[1-9][0-9]*[smhd]\Z")
_USERINFO = re.compile(r"^\w+://[^/@]+@")
# Kibana's space ids; the project name goes into list ids and tags.
SPACE = re.compile(r"^[a-z0-9_-]+\Z")
_FINGERPRINT = re.compile(r"^[0-9a-fA-F]{2}(:?[0-9a-fA-F]{2}){31}\Z")
NAME = re.compile(r"^[a-z0-9][a-z0-9_-]*\Z")


@dataclass(frozen=True, slots=True)
class Settings:
    """The checked file; `text` and `path` stay so that later errors can name a line."""

    path: str
    text: str
    project: Table
    defaults: Table
    envs: dict[str, Table]

    def at(self, *keys: str) -> Location:
        """Where `keys` is written."""
        return locate(self.text, self.path, keys)


def parse_settings(data: bytes, path: str) -> Settings:
    """Read and check `ruledeploy.toml`.

    Raises `ConfigError`, or `Problems` with all of them: not TOML, unknown keys (with the
    nearest known one), wrong types, unknown languages, secrets written out in the file.
    """
    text, raw = _read(data, path)
    checker = _Checker(text, path)
    checker.table(raw, (), {"project": TABLE, "defaults": TABLE, "env": TABLE})
    project, defaults = raw.get("project", {}), raw.get("defaults", {})
    envs = raw.get("env", {})
    checker.table(project, ("project",), PROJECT)
    checker.table(defaults, ("defaults",), DEFAULTS)
    checker.values(defaults, ("defaults",))
    for name, env in _tables(envs):
        checker.env(env, ("env", name))
    checker.collector.raise_if_any()
    if "name" not in _as_table(project):
        checker.fail(("project",), "[project] needs a name", "it marks what is yours on the server")
    elif not NAME.match(str(project["name"])):
        checker.fail(("project", "name"), "the project name takes a-z, 0-9, - and _ only", None)
    checker.collector.raise_if_any()
    return Settings(path, text, project, defaults, dict(envs))


def _read(data: bytes, path: str) -> tuple[str, Table]:
    try:
        text = data.decode("utf-8")
        return text, tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise ConfigError("the file is not UTF-8", location=Location(path)) from error
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+), column (\d+)", str(error))
        place = Location(path, *(int(n) for n in found.groups())) if found else Location(path)
        message = str(error).split(" (at ")[0]
        raise ConfigError(f"not TOML: {message}", location=place) from error


def _as_table(value: object) -> Table:
    return value if isinstance(value, dict) else {}


def _tables(value: object) -> list[tuple[str, Table]]:
    return [(name, _as_table(inner)) for name, inner in _as_table(value).items()]


class _Checker:
    """Collects every problem of one file."""

    def __init__(self, text: str, path: str) -> None:
        self.text = text
        self.path = path
        self.collector = Collector()

    def fail(self, keys: tuple[str, ...], message: str, hint: str | None) -> None:
        place = locate(self.text, self.path, keys)
        self.collector.add(ConfigError(message, location=place, hint=hint))

    def table(self, table: object, keys: tuple[str, ...], known: dict[str, str]) -> None:
        """Keys known and types right, one level deep."""
        for key, value in _as_table(table).items():
            here = (*keys, key)
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                way_out = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
                self.fail(here, f"unknown key {'.'.join(here)!r}", way_out)
            elif not _is(value, known[key]):
                self.fail(here, f"{'.'.join(here)} must be {known[key]}", None)

    def env(self, env: Table, keys: tuple[str, ...]) -> None:
        """One `[env.NAME]` with its policy."""
        self.table(env, keys, ENV)
        self.values(env, keys)
        policy = _as_table(env.get("policy"))
        self.table(policy, (*keys, "policy"), POLICY)
        exceptions = _as_table(policy.get("exceptions"))
        here = (*keys, "policy", "exceptions")
        self.table(exceptions, here, POLICY_EXCEPTIONS)
        for name in exceptions.get("require", ()):
            if name not in REQUIRABLE:
                self.fail((*here, "require"), f"cannot require {name!r}", _one_of(REQUIRABLE))
        for secret in SECRETS & env.keys():
            if not re.fullmatch(r"\$\{\w+\}", str(env[secret])):
                self.fail(
                    (*keys, secret),
                    f"{secret} is written out in the file",
                    f'write {secret} = "${{VARIABLE}}" and keep the value in the environment',
                )
        self.connectors(env, (*keys, "connectors"))
        if "client_key" in env and "client_cert" not in env:
            self.fail((*keys, "client_key"), "client_key without client_cert", "name both files")
        fingerprint = env.get("ca_fingerprint", "${}")
        if "${" not in str(fingerprint) and not _FINGERPRINT.match(str(fingerprint)):
            hint = "64 hexadecimal digits, as `openssl x509 -fingerprint -sha256` prints them"
            self.fail((*keys, "ca_fingerprint"), "no SHA-256 fingerprint", hint)
        for url in ("kibana_url", "elasticsearch_url", "proxy"):
            if _USERINFO.match(str(env.get(url, ""))):
                hint = 'take them out of the URL: username, and password = "${VARIABLE}"'
                if url == "proxy":
                    hint = 'write  proxy = "${VARIABLE}"  and keep the URL in the environment'
                self.fail((*keys, url), f"credentials are written out in {url}", hint)
        if not SPACE.match(str(env.get("space", "default"))):
            self.fail((*keys, "space"), "a space id takes a-z, 0-9, - and _ only", None)

    def connectors(self, env: Table, keys: tuple[str, ...]) -> None:
        """Each `[env.NAME.connectors.NAME]`."""
        for name, connector in _tables(env.get("connectors")):
            self.table(connector, (*keys, name), CONNECTOR)
            for needed in ("id", "type"):
                if not connector.get(needed):
                    hint = "id and type as Kibana shows them, such as .slack"
                    self.fail((*keys, name), f"the connector {name!r} needs {needed}", hint)

    def values(self, table: object, keys: tuple[str, ...]) -> None:
        """The values that `[defaults]` and an environment share."""
        given = _as_table(table)
        for key, allowed in (("language", LANGUAGES), ("attack_version", ATTACK_VERSIONS)):
            if isinstance(given.get(key), str) and given[key] not in allowed:
                self.fail((*keys, key), f"unknown {key} {given[key]!r}", _one_of(allowed))
        for key in ("interval", "lookback"):
            if isinstance(given.get(key), str) and not DURATION.match(given[key]):
                self.fail((*keys, key), f"{key} {given[key]!r} is no duration", "such as 5m or 1h")
        for table_name, what in (("indices", "index patterns"), ("placeholders", "values")):
            for name, values in _as_table(given.get(table_name)).items():
                if not _is(values, TEXTS):
                    here = (*keys, table_name, name)
                    self.fail(here, f"{name} must be a list of {what}", None)


def _one_of(known: tuple[str, ...]) -> str:
    return f"one of {', '.join(known)}"


def _is(value: object, kind: str) -> bool:
    match kind:
        case "text":
            return isinstance(value, str)
        case "true or false":
            return isinstance(value, bool)
        case "a number":
            return isinstance(value, int) and not isinstance(value, bool)
        case "a list of text":
            return isinstance(value, list) and all(isinstance(item, str) for item in value)
        case _:
            return isinstance(value, dict)
