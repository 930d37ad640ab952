"""`ruledeploy.toml` as typed values: every key known, every type right, every problem reported."""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

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
DURATION = re.compile(r"^[1-9][0-9]{0,5}[smhd]\Z")
# A hundred years: beyond lie dates that no calendar has.
MAX_DAYS = 36_500
MAX_BYTES = 1_000_000
# TOML's reader takes a time that grows with the square of a key's parts.
_LONG_KEY = re.compile(r"(?:[\w-]+[ \t]*\.[ \t]*){64}")
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
    text, raw = read_toml(data, path)
    checker = _Checker(text, path)
    checker.table(raw, (), {"project": TABLE, "defaults": TABLE, "env": TABLE})
    project, defaults = raw.get("project", {}), raw.get("defaults", {})
    envs = raw.get("env", {})
    checker.table(project, ("project",), PROJECT)
    checker.table(defaults, ("defaults",), DEFAULTS)
    checker.values(defaults, ("defaults",))
    checker.folders(_as_table(project))
    for name, env in _tables(envs):
        checker.env(env, ("env", name))
    checker.collector.raise_if_any()
    if "name" not in _as_table(project):
        checker.fail(("project",), "[project] needs a name", "it marks what is yours on the server")
    elif not NAME.match(str(project["name"])):
        checker.fail(("project", "name"), "the project name takes a-z, 0-9, - and _ only", None)
    checker.collector.raise_if_any()
    return Settings(path, text, project, defaults, dict(envs))


def read_toml(data: bytes, path: str) -> tuple[str, Table]:
    """The text and what it says. Raises `ConfigError` for what is no TOML, or would hurt."""
    if len(data) > MAX_BYTES:
        raise ConfigError(f"the file has more than {MAX_BYTES:,} bytes", location=Location(path, 1))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = Location(path, data.count(b"\n", 0, error.start) + 1)
        raise ConfigError("the file is not UTF-8", location=place, hint="save it so") from error
    if long := _LONG_KEY.search(text):
        place = Location(path, text.count("\n", 0, long.start()) + 1)
        raise ConfigError("not TOML: a key of more than 64 parts", location=place)
    try:
        return text, tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        found = re.search(r"line (\d+), column (\d+)", str(error))
        place = Location(path, *(int(n) for n in found.groups())) if found else Location(path)
        message = "it nests too deep" if isinstance(error, RecursionError) else str(error)
        if not isinstance(error, tomllib.TOMLDecodeError | RecursionError):
            message = "a number has too many digits"
        raise ConfigError(f"not TOML: {message.split(' (at ')[0]}", location=place) from error


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
        self.policy(_as_table(env.get("policy")), (*keys, "policy"))
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
            if not is_url(str(env.get(url, ""))):
                self.fail((*keys, url), f"{url} is no URL", "such as https://kibana.example:5601")
            if _USERINFO.match(str(env.get(url, ""))):
                hint = 'take them out of the URL: username, and password = "${VARIABLE}"'
                if url == "proxy":
                    hint = 'write  proxy = "${VARIABLE}"  and keep the URL in the environment'
                self.fail((*keys, url), f"credentials are written out in {url}", hint)
        if not SPACE.match(str(env.get("space", "default"))):
            self.fail((*keys, "space"), "a space id takes a-z, 0-9, - and _ only", None)

    def policy(self, policy: Table, keys: tuple[str, ...]) -> None:
        """One `[env.NAME.policy]`."""
        self.table(policy, keys, POLICY)
        exceptions = _as_table(policy.get("exceptions"))
        here = (*keys, "exceptions")
        self.table(exceptions, here, POLICY_EXCEPTIONS)
        for name in exceptions.get("require", ()):
            if name not in REQUIRABLE:
                self.fail((*here, "require"), f"cannot require {name!r}", _one_of(REQUIRABLE))
        for name in ("max_days", "warn_days"):
            days = exceptions.get(name, 0)
            if _is(days, NUMBER) and not 0 <= days <= MAX_DAYS:
                hint = f"from 0 to {MAX_DAYS}"
                self.fail((*here, name), f"{name} is no number of days", hint)

    def folders(self, project: Table) -> None:
        """Folders of content lie below the project's own."""
        rules = project.get("rules")
        named = [("rules", folder) for folder in rules] if isinstance(rules, list) else []
        for key, folder in [*named, ("exceptions", project.get("exceptions"))]:
            if isinstance(folder, str) and not is_below(folder):
                message = f"the folder {folder!r} does not lie below the project's own"
                self.fail(("project", key), message, "name one that does; it may be a link")

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
                elif table_name == "indices" and not (values and all(map(str.strip, values))):
                    hint = "such as logs-endpoint.events.api-*"
                    self.fail((*keys, table_name, name), f"{name} names no index pattern", hint)


def is_below(folder: str) -> bool:
    """Whether a folder of the settings lies below the project's own, or is it."""
    path = PurePosixPath(folder)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in folder


def is_url(text: str) -> bool:
    """Whether a URL can be taken apart; what is still a `${VARIABLE}` is looked at later."""
    try:
        return "${" in text or (urlsplit(text).port or 1) > 0
    except ValueError:
        return False


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
