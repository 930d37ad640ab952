"""One request as handlers see it, one answer as they give it, and the rules for headers."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from ruledeploy.stack.auth import Access, Caller
from ruledeploy.stack.errors import platform
from ruledeploy.stack.jsontext import names_prototype, read_json

if TYPE_CHECKING:
    from ruledeploy.stack.context import Stack

PUBLIC_VERSION = "2023-10-31"
_SAFE = {"GET", "HEAD", "OPTIONS"}
_WITH_BODY = {"POST", "PUT", "PATCH"}
_NO_JSON = "Invalid request payload JSON format"


@dataclass(frozen=True, slots=True)
class Call:
    """A request: `path` without the space prefix, `url` as it was sent.

    Query keys that were repeated are joined by commas, as Kibana reads its lists. `target` is path
    and query as they came over the wire, still encoded.
    """

    method: str
    path: str
    url: str
    space: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    caller: Caller
    params: dict[str, str] = field(default_factory=dict)
    target: str = ""
    partial: bool = False  # injected: every second object of a bulk request fails

    def json(self) -> Any:
        """The body as JSON; None when empty; a platform 400 when it is not JSON."""
        if not self.body:
            return None
        try:
            value = read_json(self.body)
        except ValueError as error:
            raise platform(400, _NO_JSON) from error
        if b"__proto__" in self.body and names_prototype(value):
            raise platform(400, _NO_JSON)
        return value

    def file(self) -> tuple[str, bytes] | None:
        """Name and content of the multipart part `file`, if it carries a file name.

        A platform 400 for a body that its boundary does not end.
        """
        kind = self.headers.get("content-type", "")
        if media_type(kind) != "multipart/form-data":
            return None
        message = BytesParser(policy=HTTP).parsebytes(
            f"Content-Type: {kind}\r\n\r\n".encode("latin-1") + self.body
        )
        boundary = (message.get_boundary() or "").encode("latin-1", "replace")
        if not boundary:
            raise platform(400, "Invalid content-type header: multipart missing boundary")
        if not re.search(
            rb"--%s\r\n.*\r\n--%s--" % ((re.escape(boundary),) * 2), self.body, re.DOTALL
        ):
            raise platform(400, "Invalid multipart payload format")
        for part in message.iter_parts():
            name = part.get_filename()
            if name and part.get_param("name", header="content-disposition") == "file":
                content = part.get_payload(decode=True)
                return name, content if isinstance(content, bytes) else b""
        return None


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: `body` is JSON unless it is bytes."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    media: str = "application/json; charset=utf-8"

    def encoded(self) -> bytes:
        """The bytes to send."""
        if isinstance(self.body, bytes):
            return self.body
        if self.body is None:
            return b""
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()


def media_type(header: str) -> str:
    """`application/json` of a Content-Type header, without its parameters."""
    return header.partition(";")[0].strip().lower()


Handler = Callable[["Stack", Call], Answer]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A route: `path` may hold `{names}`; `privilege` is what a 403 names."""

    method: str
    path: str
    handler: Handler
    access: Access = "read"
    privilege: str = ""

    @property
    def internal(self) -> bool:
        """Whether Kibana hides it from requests that do not claim to come from Elastic."""
        return self.path.startswith("/internal/") and not self.ours

    @property
    def ours(self) -> bool:
        """Whether it is this stack's own, which Kibana does not have."""
        return self.path.startswith("/internal/ruledeploy/")

    @property
    def operation(self) -> str:
        """The name under which the contract holds it."""
        return f"{self.method} {self.path}"


def read_query(raw: bytes) -> dict[str, str]:
    """Query parameters; repeated keys are joined with commas."""
    out: dict[str, str] = {}
    for key, value in parse_qsl(raw.decode("latin-1"), keep_blank_values=True):
        out[key] = f"{out[key]},{value}" if key in out else value
    return out


def read_body(headers: dict[str, str], body: bytes) -> bytes:
    """The body, unpacked when the client compressed it; a platform 400 when it did not."""
    if headers.get("content-encoding") != "gzip":
        return body
    try:
        return gzip.decompress(body)
    except (OSError, EOFError, zlib.error) as error:
        raise platform(400, "Invalid compressed payload") from error


def split_space(path: str) -> tuple[str, str]:
    """`/s/soc/api/x` as (`soc`, `/api/x`); the default space has no prefix.

    What cannot be a space's id is part of a path that does not exist.
    """
    match = re.match(r"/s/([a-z0-9_-]+)(/.*)", path)
    return (match.group(1), match.group(2)) if match else ("default", path)


def check_headers(endpoint: Endpoint, call: Call, server_version: str) -> None:
    """Refuse what Kibana's core refuses: no kbn-xsrf, other versions, hidden routes."""
    if endpoint.ours:
        return
    headers = call.headers
    _check_media(endpoint, headers.get("content-type", ""))
    sent = headers.get("kbn-version")
    if sent is not None and sent != server_version:
        raise platform(
            400,
            f'Browser client is out of date, please refresh the page ("kbn-version" header was '
            f'"{sent}" but should be "{server_version}")',
            {"expected": server_version, "got": sent},
        )
    if call.method not in _SAFE and "kbn-xsrf" not in headers and sent is None:
        raise platform(400, "Request must contain a kbn-xsrf header.")
    if endpoint.internal and "x-elastic-internal-origin" not in headers:
        raise platform(
            400,
            f"uri [{call.url}] with method [{call.method.lower()}] exists but is not available "
            "with the current configuration",
        )
    _check_version(endpoint, headers.get("elastic-api-version"))


def _check_media(endpoint: Endpoint, sent: str) -> None:
    """Bodies are JSON, but for uploads; what `curl -d` says if it is not told is not."""
    takes_json = endpoint.method in _WITH_BODY and not endpoint.path.endswith("/_import")
    if sent and takes_json and media_type(sent) != "application/json":
        raise platform(415, "Unsupported Media Type")


def _check_version(endpoint: Endpoint, version: str | None) -> None:
    if version is None:
        return
    known = "1" if endpoint.internal else PUBLIC_VERSION
    if version == known:
        return
    if not endpoint.internal and not re.fullmatch(r"\d{4}-\d\d-\d\d", version):
        raise platform(
            400,
            f'Invalid version. Received "{version}", expected a valid date string formatted as '
            "YYYY-MM-DD.",
        )
    raise platform(
        400,
        f'No version "{version}" available for [{endpoint.method.lower()}] [{endpoint.path}]. '
        f"Available versions are: [{known}]",
    )
