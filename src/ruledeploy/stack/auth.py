"""Who sends a request: Basic users and API keys, their roles, and what a role may do.

Without configured users and keys security is off and everybody is `elastic`, as on a server
started for development.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ruledeploy.stack.clock import Clock, iso
from ruledeploy.stack.config import ApiKey, Role, StackConfig
from ruledeploy.stack.errors import Refusal, platform
from ruledeploy.stack.store import EVERYWHERE, Saved, Store

Access = Literal["open", "read", "write"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request. `key` is set when they came with an API key."""

    name: str
    role: Role = "superuser"
    key: ApiKey | None = None

    def may(self, access: Access) -> bool:
        """Whether the role allows that access."""
        return access != "write" or self.role != "reader"

    @property
    def realm(self) -> str:
        """The realm as `GET /_security/_authenticate` names it."""
        return "_es_api_key" if self.key is not None else "native1"


ANYBODY = Caller("elastic")


@dataclass(frozen=True, slots=True)
class Auth:
    """Checks `Authorization` headers against the configuration and the keys made at run time."""

    config: StackConfig
    store: Store
    clock: Clock

    def caller(self, header: str | None) -> Caller:
        """Who that header belongs to; a 401 in Kibana's envelope otherwise."""
        found = self.known(header)
        if found is None:
            raise _unauthenticated(header)
        return found

    def known(self, header: str | None) -> Caller | None:
        """Who that header belongs to, or None: for pages that greet strangers too.

        Without security everybody is let in, and a key made here is still known for one.
        """
        return self._find(header) or (None if self.config.secured else ANYBODY)

    def _find(self, header: str | None) -> Caller | None:
        scheme, _, value = (header or "").partition(" ")
        pair = _decoded(value)
        if pair is None:
            return None
        name, secret = pair
        if scheme.lower() == "basic":
            for user in self.config.users:
                if (user.name, user.password) == pair:
                    return Caller(name, user.role)
        if scheme.lower() == "apikey":
            key = self.key(name)
            if key is not None and key.secret == secret and not self.expired(key):
                return Caller(key.name, key.role, key)
        return None

    def key(self, key_id: str) -> ApiKey | None:
        """A configured key, or one made through the API."""
        for key in self.config.api_keys:
            if key.id == key_id:
                return key
        saved = self.store.get("api_key", EVERYWHERE, key_id)
        return None if saved is None else _key(saved)

    def expired(self, key: ApiKey) -> bool:
        """Whether the key's time is over, by the stack's clock."""
        return key.expires is not None and key.expires <= self.clock.now()

    def save_key(self, key: ApiKey) -> None:
        """Keep a key made through the API."""
        body = {
            "secret": key.secret,
            "name": key.name,
            "role": key.role,
            "expires": iso(key.expires) if key.expires else None,
            "indices": list(key.indices),
        }
        self.store.put(Saved("api_key", EVERYWHERE, key.id, key.name, body))

    def drop_key(self, key_id: str) -> bool:
        """Invalidate a key made through the API."""
        saved = self.store.get("api_key", EVERYWHERE, key_id)
        if saved is not None:
            self.store.delete(saved)
        return saved is not None


def _key(saved: Saved) -> ApiKey:
    expires = saved.body["expires"]
    return ApiKey(
        saved.id,
        saved.body["secret"],
        saved.body["name"],
        saved.body["role"],
        datetime.fromisoformat(expires) if expires else None,
        tuple(saved.body["indices"]),
    )


def _decoded(value: str) -> tuple[str, str] | None:
    try:
        text = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    name, colon, secret = text.partition(":")
    return (name, secret) if colon else None


def _unauthenticated(header: str | None) -> Refusal:
    scheme, _, value = (header or "").partition(" ")
    if not value:
        refusal = platform(401, "Unauthorized")
    else:
        pair = _decoded(value)
        who = f"authenticate user [{pair[0]}]" if scheme.lower() == "basic" and pair else None
        why = (
            f"unable to {who} for REST request [/_security/_authenticate]"
            if who
            else "unable to authenticate with provided credentials and anonymous access is not "
            "allowed for this request"
        )
        refusal = platform(
            401, f"[security_exception\n\tRoot causes:\n\t\tsecurity_exception: {why}]: {why}"
        )
    refusal.headers["WWW-Authenticate"] = 'Basic realm="security", charset="UTF-8", ApiKey'
    return refusal
