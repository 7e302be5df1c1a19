"""Stores that the tests of this folder share."""

from __future__ import annotations

import json

METABASE = b"""{"schema_version": 1, "revision": 7, "keys": {
  "/smtp":   {"probe_timeout_s": 5},
  "/smtp/1": {"comment": "Default SMTP virtual server", "bindings": ["127.0.0.1:25"], "secure_bindings": ["[::1]:465"]},
  "/http/1": {"bindings": ["127.0.0.1:80:www.example.org"], "path": "/", "expect_status": "200-399"}}}"""

CLUSTER = b"""{"schema_version": 1, "revision": 3, "groups": {"evs1": {"possible_owners": [], "resources": {
  "sa":    {"type": "system-attendant", "controller": {"kind": "none"}},
  "store": {"type": "information-store", "depends_on": ["sa"],
            "controller": {"kind": "systemd", "unit": "dovecot.service"},
            "parameters": {"name": "evs1", "health": "grpc://127.0.0.1:9090"}},
  "smtp":  {"type": "smtp", "depends_on": ["store"], "parameters": {"virtual_server": "/smtp/1"},
            "controller": {"kind": "process", "command": ["/usr/sbin/postfix", "start-fg"]},
            "restart_threshold": 2}}}}}"""

FULL_SERVER: dict[str, object] = {  # every property of http at once, and the mail ones below
    "comment": "everything\nat once",
    "bindings": ["10.0.0.5:8080:www.example.org", "*:80", ":81", "host.example.org.:82", "[2001:db8::1]:83:[::1]"],
    "secure_bindings": ["unix:/run/http.sock"],
    "binding_policy": "any",
    "tls": {
        "ca_file": "/etc/ca.pem",
        "verify": False,
        "server_name": "www.example.org",
        "client_cert_file": "/c.pem",
        "client_key_file": "/k.pem",
        "min_version": "1.3",
    },
    "source": "10.0.0.5",
    "proxy_protocol": "v2",
    "path": "/health?full=1&x=%20",
    "host": "www.example.org:8080",
    "method": "HEAD",
    "headers": {"Authorization": {"file": "/run/secrets/token"}, "X-Probe": "yes"},
    "expect_status": "200-299,301,401-403",
    "body_match": "^ok$",
    "probe_timeout_s": 0.5,
    "poll_interval_s": 0.1,
    "fast_interval_s": 0.25,
    "polite": False,
    "rise": 2,
    "fall": 3,
    "ip_security": {"allow": ["10.0.0.0/8", "2001:db8::/32", "127.0.0.1"], "deny": ["10.9.0.0/16"]},
    "auto_start": False,
}
MAIL_SERVER: dict[str, object] = {
    "bindings": ["127.0.0.1:25"],
    "expect": ["220 ", "220-"],
    "starttls": "required",
    "helo_name": "[IPv6:::1]",
}


def metabase(keys: object, **more: object) -> bytes:
    """Write a metabase that holds these keys."""
    return json.dumps({"schema_version": 1, **more, "keys": keys}).encode()


def cluster(groups: object, **more: object) -> bytes:
    """Write a cluster document that holds these groups."""
    return json.dumps({"schema_version": 1, **more, "groups": groups}).encode()


def group(**resources: object) -> dict[str, object]:
    """Write one group, `g`, with these resources."""
    return {"g": {"resources": resources}}
