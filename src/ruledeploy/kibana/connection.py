"""Where a server is and who we are there."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, replace
from urllib.parse import unquote, urlsplit, urlunsplit

from ruledeploy.errors import UsageError
from ruledeploy.kibana.redact import inner_secrets, redactor
from ruledeploy.model import Environment, Secret

DEFAULT_TIMEOUT = 30.0
_HEADER = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Connection:
    """One HTTP peer: `url` (never holds credentials), a Kibana space, and one kind of credential.

    `ca_certs`, `client_cert` and `client_key` are PEM files; `ca_fingerprint` is the SHA-256 of a
    certificate in the server's chain, which is then trusted instead. `timeout` is in seconds, per
    request. An API key wins over a user name and password.
    """

    url: str
    space: str = "default"
    api_key: Secret | None = None
    username: str | None = None
    password: Secret | None = None
    ca_certs: str | None = None
    ca_fingerprint: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    proxy: Secret | None = None
    verify_certs: bool = True
    timeout: float = DEFAULT_TIMEOUT

    def __post_init__(self) -> None:
        """Refuse what is not an HTTP URL, and credentials inside it: URLs are printed."""
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            shown = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
            raise UsageError(
                f"{shown!r} is not an http:// or https:// URL",
                hint="set kibana_url (or KIBANA_URL), with the scheme",
            )
        if parts.username or parts.password:
            raise UsageError(
                f"the URL of {parts.hostname} holds credentials",
                hint="set api_key, or username and password, instead",
            )
        if self.api_key and not _HEADER.fullmatch(self.api_key.reveal().strip()):
            # The HTTP library would refuse it too, and quote it.
            raise UsageError(
                "api_key holds characters that an HTTP header cannot carry",
                hint="set the base64 form `encoded` that Kibana showed once, on one line",
            )

    @staticmethod
    def at(url: str) -> Connection:
        """The connection to a URL that may hold a user name and password, as variables often do.

        They are taken out of the URL, so that no message shows them.
        """
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        bare = urlunsplit(parts._replace(netloc=host))
        if not parts.username:
            return Connection(bare)
        password = Secret(unquote(parts.password or ""))
        return Connection(bare, username=unquote(parts.username), password=password)

    @staticmethod
    def of(env: Environment, url: str | None = None) -> Connection:
        """The connection to an environment's Kibana; `url` when the stack chose its own port.

        The environment's own credentials win over those in the URL.
        """
        connection = Connection.at(url or env.kibana_url)
        own = env.api_key or env.username
        return replace(
            connection,
            space=env.space,
            api_key=env.api_key,
            username=env.username if own else connection.username,
            password=env.password if own else connection.password,
            ca_certs=env.ca_certs,
            ca_fingerprint=env.ca_fingerprint,
            client_cert=env.client_cert,
            client_key=env.client_key,
            proxy=env.proxy,
            verify_certs=env.verify_certs,
        )

    @property
    def credential(self) -> str:
        """The kind of credential that is sent, for messages: API key, user name, or none."""
        if self.api_key:
            return "API key"
        return f"user {self.username!r}" if self.username else "no credentials"

    @property
    def authorization(self) -> str | None:
        """The `Authorization` header's value; a secret."""
        if self.api_key:
            return f"ApiKey {self.api_key.reveal().strip()}"
        if self.username:
            password = self.password.reveal() if self.password else ""
            pair = f"{self.username}:{password}".encode()
            return f"Basic {base64.b64encode(pair).decode('ascii')}"
        return None

    def redact(self, text: str) -> str:
        """A text that a peer gave, without our credentials in any spelling."""
        key = self.api_key.reveal().strip() if self.api_key else ""
        password = self.password.reveal() if self.password else None
        token = (self.authorization or "").partition(" ")[2]
        proxy = urlsplit(self.proxy.reveal()).password if self.proxy else None
        return redactor(*inner_secrets(key), password, token, proxy, unquote(proxy or ""))(text)
