"""Sigma's names for proxies, web servers, DNS, firewalls and Zeek, in ECS.

Sources: Sigma's taxonomy of these log sources, ECS, and the ingest pipelines of Elastic's Zeek
integration, which moves some of Zeek's fields to ECS and keeps the others below `zeek.<log>`.
"""

from __future__ import annotations

_WEB: dict[str, str | tuple[str, ...]] = {
    "c-ip": "source.ip",
    "c-uri": "url.original",
    "c-uri-extension": "url.extension",
    "c-uri-query": "url.query",
    "c-useragent": "user_agent.original",
    "cs-bytes": "http.request.bytes",
    "cs-host": "url.domain",
    "cs-method": "http.request.method",
    "cs-referer": "http.request.referrer",
    "cs-referrer": "http.request.referrer",
    "cs-uri": "url.original",
    "cs-uri-query": "url.query",
    "cs-uri-stem": "url.path",
    "cs-user-agent": "user_agent.original",
    "cs-username": "user.name",
    "cs-version": "http.version",
    "dst_ip": "destination.ip",
    "r-dns": "url.domain",
    "sc-bytes": "http.response.bytes",
    "sc-status": "http.response.status_code",
    "src_ip": "source.ip",
}

# By Sigma's category.
NETWORK_CATEGORIES: dict[str, dict[str, str | tuple[str, ...]]] = {
    "proxy": _WEB,
    "webserver": _WEB,
    "dns": {
        "answer": "dns.answers.data",
        "dst_ip": "destination.ip",
        "query": "dns.question.name",
        "record_type": "dns.question.type",
        "src_ip": "source.ip",
    },
    "firewall": {
        "action": "event.action",
        "dst_ip": "destination.ip",
        "dst_port": "destination.port",
        "src_ip": "source.ip",
        "src_port": "source.port",
        "username": "user.name",
    },
}

# In every log of Zeek's, and in one of them.
ZEEK_FIELDS: dict[str, str | tuple[str, ...]] = {
    "id.orig_h": "source.ip",
    "id.orig_p": "source.port",
    "id.resp_h": "destination.ip",
    "id.resp_p": "destination.port",
}
ZEEK_LOGS: dict[str, dict[str, str | tuple[str, ...]]] = {
    "dns": {
        "qtype_name": "dns.question.type",
        "query": "dns.question.name",
        "rcode_name": "dns.response_code",
    },
    "http": {
        "host": "url.domain",
        "method": "http.request.method",
        "referrer": "http.request.referrer",
        "status_code": "http.response.status_code",
        "uri": "url.original",
        "user_agent": "user_agent.original",
    },
    "smb_files": {"name": "file.name"},
}
