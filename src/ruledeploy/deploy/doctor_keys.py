"""`doctor` on credentials: who we are, until when, what we may do, and whose key runs the rules."""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from ruledeploy.deploy.doctor_lines import Check, Subject, remark
from ruledeploy.deploy.objects import Ref
from ruledeploy.errors import NotThere, RuledeployError, ServerError
from ruledeploy.model import JsonObject

# Organisation-level keys of Elastic Cloud: Kibana refuses to enable rules with them.
_CLOUD_REALM = "_cloud_api_key"
SOON = timedelta(days=14)
APPLICATION = "kibana-.kibana"
# Who may write rules; the feature was split off `siem` during 9.x, and its number grows.
_RULE_FEATURES = ("securitySolutionRules", "siem")


def key_checks(subject: Subject) -> Iterator[Check]:
    """Credential, expiry, Kibana's features, index privileges, and the run-as of our rules."""
    me = _me(subject)
    if isinstance(me, Check):
        yield me
        expiry: datetime | None = None
    else:
        yield _credential(me)
        expires = _expiry(subject)
        if isinstance(expires, Check):
            yield expires
            expiry = None
        else:
            yield _until(subject, expires)
            expiry = expires
    yield _features(subject)
    yield from _indices(subject)
    yield from _run_as(subject, expiry)


def key_warnings(subject: Subject) -> Iterator[str]:
    """Sentences for a push: a key that cannot enable rules, or that ends soon; else none."""
    me = _me(subject)
    expires = _expiry(subject)
    checks = [me if isinstance(me, Check) else _credential(me)]
    checks.append(expires if isinstance(expires, Check) else _until(subject, expires))
    for check in checks:
        if check.state in {"warning", "error"}:
            yield f"{check.what}: {check.said}; {check.remedy}"


def _me(subject: Subject) -> JsonObject | Check:
    """What the server says of us, by Elasticsearch if we know it."""
    try:
        if subject.elasticsearch is not None:
            found: JsonObject = subject.elasticsearch.request("GET", "/_security/_authenticate")
            return found
        return subject.kibana.me()
    except ServerError as error:
        return remark("credential", error)


def _credential(me: JsonObject) -> Check:
    realm = (me.get("authentication_realm") or {}).get("name", "?")
    said = f"{me.get('username')} (realm {realm})"
    if realm == _CLOUD_REALM:
        remedy = "make a key inside the deployment: an organisation's key cannot enable rules"
        return Check("credential", "error", said, remedy)
    return Check("credential", "ok", said)


def _expiry(subject: Subject) -> datetime | Check | None:
    """When our API key ends; None when it does not, or when we log in by password."""
    key = subject.kibana.connection.api_key
    if key is None:
        return None
    if subject.elasticsearch is None:
        return Check("key's end", "unknown", "only Elasticsearch tells", "set elasticsearch_url")
    try:
        key_id = base64.b64decode(key.reveal(), validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return Check("key's end", "unknown", "this kind of key does not say its id")
    try:
        answer = subject.elasticsearch.request(
            "GET", "/_security/api_key", query={"id": key_id, "owner": True}
        )
    except ServerError as error:
        return remark("key's end", error)
    keys = answer.get("api_keys") or []
    if not keys:
        return Check("key's end", "unknown", "the key may not read about itself")
    milliseconds = keys[0].get("expiration")
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None


def _until(subject: Subject, expires: datetime | None) -> Check:
    if subject.kibana.connection.api_key is None:
        return Check("key's end", "ok", f"no key: {subject.kibana.connection.credential}")
    if expires is None:
        return Check("key's end", "ok", "never")
    said = f"{expires:%Y-%m-%d %H:%M} UTC"
    if expires - subject.now < SOON:
        remedy = "make a new key, configure it, then `ruledeploy rekey`: rules stop with this one"
        return Check("key's end", "warning", said, remedy)
    return Check("key's end", "ok", said)


def _features(subject: Subject) -> Check:
    """Whether we may write rules in this space, asked of Elasticsearch by the feature's name."""
    what = "Kibana privilege"
    try:
        names = [str(one.get("id")) for one in subject.kibana.features()]
    except ServerError as error:
        return remark(what, error)
    feature = _newest(names)
    if feature is None:
        return Check(what, "unknown", "the server names no security feature")
    if subject.elasticsearch is None:
        return Check(what, "unknown", f"feature_{feature}.all", "set elasticsearch_url")
    wanted, space = f"feature_{feature}.all", f"space:{subject.env.space}"
    asked = [{"application": APPLICATION, "privileges": [wanted], "resources": [space]}]
    try:
        answer = _has(subject, {"application": asked})
    except ServerError as error:
        return remark(what, error)
    granted = answer.get("application", {}).get(APPLICATION, {}).get(space, {}).get(wanted)
    if granted is None:
        return Check(what, "unknown", f"the server does not say whether we have {wanted}")
    if not granted:
        remedy = "grant it to the role: `ruledeploy doctor --print-role`"
        return Check(what, "error", f"{wanted} is missing in {space}", remedy)
    return Check(what, "ok", f"{wanted} in {space}")


def _newest(names: list[str]) -> str | None:
    """The feature that rules belong to on this server: the split-off one before `siem`."""
    for stem in _RULE_FEATURES:
        found = [name for name in names if name.rstrip("0123456789V") == stem]
        if found:
            return max(found, key=lambda name: (len(name), name))
    return None


def _indices(subject: Subject) -> Iterator[Check]:
    """Whether we may read what the rules search: rules that we enable read with our rights."""
    patterns = subject.patterns()
    if not patterns:
        return
    if subject.elasticsearch is None:
        shown = ", ".join(patterns)
        yield Check("index privileges", "unknown", f"read on {shown}", "set elasticsearch_url")
        return
    asked = [{"names": list(patterns), "privileges": ["read", "view_index_metadata"]}]
    try:
        answer = _has(subject, {"index": asked}).get("index", {})
    except ServerError as error:
        yield remark("index privileges", error)
        return
    checks = [_readable(pattern, answer.get(pattern)) for pattern in patterns]
    if readable := sum(check.state == "ok" for check in checks):
        said = f"granted on {readable} of {len(patterns)} index patterns"
        yield Check("read", "ok", said)
    yield from checks


def _readable(pattern: str, rights: JsonObject | None) -> Check:
    what = f"read {pattern}"
    if rights is None:
        return Check(what, "unknown", "the server does not say", group="read")
    if all(rights.values()):
        return Check(what, "ok", "granted", group="read")
    missing = ", ".join(name for name, granted in rights.items() if not granted)
    remedy = "grant it: rules that this key enables would see nothing there"
    return Check(what, "error", f"{missing} is missing", remedy, "read")


def _has(subject: Subject, body: dict[str, Any]) -> JsonObject:
    assert subject.elasticsearch is not None  # noqa: S101  # the callers have looked
    answer: JsonObject = subject.elasticsearch.request(
        "POST", "/_security/user/_has_privileges", body=body
    )
    return answer


def _run_as(subject: Subject, expiry: datetime | None) -> Iterator[Check]:
    """Whose key our enabled rules run with, and whether it is about to end."""
    try:
        owners = subject.kibana.key_owners()
        rules, applied = subject.rules(), subject.store.applied()
    except NotThere:
        yield Check("run-as", "unknown", "this server does not tell whose key runs a rule")
        return
    except RuledeployError as error:
        yield remark("run-as", error)
        return
    ours = [
        str(body["id"])
        for body in rules
        if body["enabled"] and Ref("rule", body["rule_id"]) in applied.objects
    ]
    counts = Counter(_whose(owners.get(uuid)) for uuid in ours)
    soon = expiry is not None and expiry - subject.now < SOON
    for (owner, sent), count in sorted(counts.items()):
        kind = "a key that was sent by" if sent else "a key that Kibana made for"
        said = f"{count} rules run with {kind} {owner}"
        if owner == _NOBODY:
            yield Check("run-as", "unknown", f"{count} rules: the server does not say")
        elif sent and soon:
            remedy = "a rule sent with the present key stops with it: renew it, then rekey"
            yield Check("run-as", "warning", said, remedy)
        else:
            yield Check("run-as", "ok", said)
    if not ours:
        yield Check("run-as", "ok", "no enabled rules of ours")


_NOBODY = "nobody"


def _whose(alert: JsonObject | None) -> tuple[str, bool]:
    """The owner of a rule's key, and whether it is the very key of some request."""
    if alert is None or not alert.get("api_key_owner"):
        return _NOBODY, False
    return str(alert["api_key_owner"]), bool(alert.get("api_key_created_by_user"))
