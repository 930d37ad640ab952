"""A content repository, loaded: settings, environments, and which file is what."""

from __future__ import annotations

import base64
import binascii
import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from ruledeploy.errors import (
    Collector,
    ConfigError,
    Location,
    RefusedError,
    RuledeployError,
    UsageError,
)
from ruledeploy.model import Connector, Environment, ExceptionPolicy, Secret
from ruledeploy.project.files import CASES, CONFIG, SCENARIOS, Files
from ruledeploy.project.lock import locked_tables
from ruledeploy.project.settings import Settings, Table, is_url, parse_settings

_SYSMON = ("logs-windows.sysmon_operational-*",)
# What Sysmon writes of a category; its rules need the fields of the event, not ECS alone.
_SYSMON_CATEGORIES = (
    "clipboard_capture", "create_remote_thread", "create_stream_hash", "dns_query", "driver_load",
    "file_block_executable", "file_block_shredding", "file_change", "file_delete",
    "file_delete_detected", "file_event", "file_executable_detected", "image_load",
    "network_connection", "pipe_created", "process_access", "process_creation",
    "process_tampering", "process_termination",
    "raw_access_thread", "registry_add", "registry_delete", "registry_event", "registry_rename",
    "registry_set", "sysmon_error", "sysmon_status", "wmi_event",
)  # fmt: skip
# By Sigma logsource; a project's own [defaults.indices] wins. One telemetry family each.
DEFAULT_INDICES: Mapping[str, tuple[str, ...]] = {
    **{f"windows/{category}": _SYSMON for category in _SYSMON_CATEGORIES},
    "windows/sysmon": _SYSMON,
    "windows/api": ("logs-endpoint.events.api-*",),
    "windows/image_load@defend": ("logs-endpoint.events.library-*",),
    "windows/process_creation@defend": ("logs-endpoint.events.process-*",),
    # Other Windows channels: ECS names and `winlog.event_data.*`.
    "windows": ("winlogbeat-*",),
}

_URLS = ("kibana_url", "elasticsearch_url")
# Variables of the ecosystem, used where the file is silent.
_FALLBACKS = {
    "kibana_url": ("KIBANA_URL", "KIBANA_ENDPOINT"),
    "elasticsearch_url": ("ELASTICSEARCH_URL", "ELASTICSEARCH_ENDPOINTS"),
    "cloud_id": ("ELASTIC_CLOUD_ID",),
    "api_key": ("KIBANA_API_KEY",),
    "username": ("KIBANA_USERNAME",),
    "password": ("KIBANA_PASSWORD",),
    "ca_certs": ("KIBANA_CA_CERTS",),
    "ca_fingerprint": ("KIBANA_CA_FINGERPRINT",),
    "client_cert": ("KIBANA_CLIENT_CERT",),
    "client_key": ("KIBANA_CLIENT_KEY",),
    "proxy": ("KIBANA_PROXY",),
}
_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Project:
    """A content repository: its settings and its files by role.

    `errors` are those of files that could not be read.
    """

    settings: Settings
    files: Files
    errors: tuple[RuledeployError, ...] = ()

    @property
    def name(self) -> str:
        """The ownership marker."""
        return str(self.settings.project["name"])

    @property
    def env_names(self) -> tuple[str, ...]:
        """Every environment of the file, in its order."""
        return tuple(self.settings.envs)

    @property
    def rule_files(self) -> dict[str, bytes]:
        """Sigma files by path."""
        folders = self.settings.project.get("rules", ["rules"])
        return {p: d for folder in folders for p, d in self._below(folder, ".yml", ".yaml")}

    @property
    def exceptions_folder(self) -> str:
        """The folder that holds one folder of overlays per name."""
        return str(self.settings.project.get("exceptions", "exceptions"))

    def overlay_files(self, folder: str) -> dict[str, bytes]:
        """Overlay files of one folder, such as `base` or `prod`, by path."""
        return dict(self._below(f"{self.exceptions_folder}/{folder}", ".yml", ".yaml"))

    @property
    def value_files(self) -> dict[str, bytes]:
        """Value lists, one value a line, by path."""
        return dict(self._below(f"{self.exceptions_folder}/value_lists", ".txt"))

    @property
    def scenario_files(self) -> dict[str, bytes]:
        """The project's own telemetry scenarios by path."""
        return dict(self._below(SCENARIOS, ".yml", ".yaml"))

    @property
    def case_files(self) -> dict[str, bytes]:
        """Files of test cases, for rules that do not carry their own, by path."""
        return dict(self._below(CASES, ".yml", ".yaml"))

    def _below(self, folder: str, *suffixes: str) -> list[tuple[str, bytes]]:
        root = PurePosixPath(folder).as_posix()
        start = "" if root == "." else f"{root.rstrip('/')}/"
        return [
            (path, data)
            for path, data in self.files.items()
            if (path.startswith(start) or path == root) and path.endswith(suffixes)
        ]

    def environment(self, name: str, environ: Mapping[str, str] | None = None) -> Environment:
        """One environment, defaults merged in.

        With `environ`, variables are filled in and the ecosystem's variables serve as fallbacks;
        without it, the connection stays as written, which is all that compiling needs.
        Raises `UsageError` for an unknown name, `ConfigError` for a variable that is not set,
        `RefusedError` when another environment has the same server and space.
        """
        self.refuse_unknown(name)
        self._refuse_shared_target(name, environ or {})
        own = self.settings.envs[name]
        reach = dict(own) if environ is None else self._filled(name, own, environ)
        return self._build(name, own, reach)

    def refuse_unknown(self, *names: str) -> None:
        """Raise `UsageError` for the first name that no environment has."""
        for name in names:
            if name not in self.settings.envs:
                near = difflib.get_close_matches(name, self.env_names, n=1)
                all_ = ", ".join(self.env_names) or "none"
                hint = f"did you mean {near[0]!r}?" if near else f"known: {all_}"
                place = Location(self.settings.path)
                raise UsageError(f"no environment {name!r}", location=place, hint=hint)

    def _build(self, name: str, own: Table, reach: Table) -> Environment:
        merged = {**self.settings.defaults, **own}
        indices, placeholders = (
            {
                key: tuple(values)
                for table in (self.settings.defaults, own)
                for key, values in table.get(setting, {}).items()
            }
            for setting in ("indices", "placeholders")
        )
        policy = own.get("policy", {}).get("exceptions", {})
        default = Environment(name)
        urls = (
            _cloud_urls(reach["cloud_id"], self.settings.at("env", name))
            if (reach.get("cloud_id") and not own.get("kibana_url"))
            else (None, None)
        )
        return Environment(
            name=name,
            kibana_url=reach.get("kibana_url") or urls[0] or default.kibana_url,
            elasticsearch_url=reach.get("elasticsearch_url") or urls[1],
            space=own.get("space", default.space),
            api_key=_secret(reach.get("api_key")),
            username=reach.get("username"),
            password=_secret(reach.get("password")),
            ca_certs=reach.get("ca_certs"),
            ca_fingerprint=reach.get("ca_fingerprint"),
            client_cert=reach.get("client_cert"),
            client_key=reach.get("client_key"),
            proxy=_secret(reach.get("proxy")),
            verify_certs=own.get("verify_certs", True),
            overlays=tuple(own.get("exceptions", ("base", name))),
            language=merged.get("language", default.language),
            interval=merged.get("interval", default.interval),
            lookback=merged.get("lookback", default.lookback),
            indices={**DEFAULT_INDICES, **indices},
            placeholders=placeholders,
            tables=locked_tables(self.files, name),
            attack_version=merged.get("attack_version", default.attack_version),
            confirm=own.get("confirm", False),
            policy=ExceptionPolicy(
                require=tuple(policy.get("require", default.policy.require)),
                max_days=policy.get("max_days"),
                warn_days=policy.get("warn_days", default.policy.warn_days),
            ),
            connectors={
                key: Connector(**connector) for key, connector in own.get("connectors", {}).items()
            },
            line=self.settings.at("env", name).line,
        )

    def _filled(self, name: str, own: Table, environ: Mapping[str, str]) -> Table:
        """The connection settings with `${VAR}` replaced and fallbacks applied."""
        filled: Table = {}
        missing = Collector()
        embedded = own.get("kibana_url") == "embedded:"
        for key, variables in _FALLBACKS.items():
            found = next((environ[v] for v in variables if environ.get(v)), None)
            with missing.collect():
                if key in own:
                    filled[key] = self._substitute(own[key], ("env", name, key), environ)
                elif found is not None and not embedded:
                    filled[key] = found
                if key in _URLS and key in filled:
                    self._refuse_no_url(filled[key], ("env", name, key))
        missing.raise_if_any()
        if not filled.get("kibana_url") and not filled.get("cloud_id"):
            # Falling back to the local stack would report a push that went nowhere as done.
            raise ConfigError(
                f"env.{name} has no kibana_url",
                location=self.settings.at("env", name),
                hint='write kibana_url, set KIBANA_URL, or say "embedded:" for the local stack',
            )
        return filled

    def _substitute(self, text: str, keys: tuple[str, ...], environ: Mapping[str, str]) -> str:
        def value(found: re.Match[str]) -> str:
            variable = found.group(1)
            if not environ.get(variable):
                raise ConfigError(
                    f"{'.'.join(keys)} needs the environment variable {variable}, which is not set",
                    location=self.settings.at(*keys),
                    hint=f"export {variable}=…",
                )
            return environ[variable]

        return _VARIABLE.sub(value, text)

    def _refuse_no_url(self, text: str, keys: tuple[str, ...]) -> None:
        parts = urlsplit(text if is_url(text) else "")
        if text != "embedded:" and (parts.scheme not in {"http", "https"} or not parts.hostname):
            # The value may hold a password, so it is not shown.
            raise ConfigError(
                f"{'.'.join(keys)} is not an http:// or https:// URL",
                location=self.settings.at(*keys),
                hint="write it, or the variable that it names, with the scheme",
            )

    def _refuse_shared_target(self, name: str, environ: Mapping[str, str]) -> None:
        """Two environments on one server and space would prune each other's objects."""

        def target(env: str) -> tuple[str, str]:
            table = self.settings.envs[env]
            url = _VARIABLE.sub(
                lambda found: environ.get(found.group(1)) or found.group(),
                table.get("kibana_url") or table.get("cloud_id") or environ.get("KIBANA_URL", ""),
            )
            return _plain_url(url), table.get("space", "default")

        for other in self.env_names:
            if other != name and target(other) == target(name):
                raise RefusedError(
                    f"the environments {name!r} and {other!r} are the same server and space",
                    location=self.settings.at("env", name),
                    hint="give each its own space",
                )


def load_project(files: Files, errors: Sequence[RuledeployError] = ()) -> Project:
    """A project from the files of a content repository. Raises `ConfigError` or `Problems`."""
    if CONFIG not in files:
        raise ConfigError(f"no {CONFIG}", location=Location(CONFIG))
    return Project(parse_settings(files[CONFIG], CONFIG), files, tuple(errors))


def _plain_url(url: str) -> str:
    """One spelling of a server's URL: host in lower case, no default port, no trailing slash."""
    parts = urlsplit(url if is_url(url) else "")
    if not parts.hostname:
        return url
    ports = {"http": ":80", "https": ":443"}
    host = parts.netloc.rpartition("@")[2].lower().removesuffix(ports.get(parts.scheme, "-"))
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}"


def _secret(value: str | None) -> Secret | None:
    return Secret(value) if value else None


def _cloud_urls(cloud_id: str, place: Location) -> tuple[str, str]:
    """Kibana's and Elasticsearch's URL from a Cloud ID: `name:base64(host$es$kibana)`."""
    try:
        decoded = base64.b64decode(cloud_id.rpartition(":")[2], validate=True).decode()
        host, elasticsearch, kibana = decoded.split("$")[:3]
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise ConfigError("the Cloud ID is malformed", location=place) from error
    return f"https://{kibana}.{host}", f"https://{elasticsearch}.{host}"
