"""The store's typed model: what `metabase.json` and `cluster.json` say once parsed, inherited and checked.

Pure data. Every record is frozen; two stores compare by value, which is what the diff rests on.
Raw text becomes these records only in `parse.py`; nothing else builds them from user input.
Units are seconds where a name ends in `_s`. `gc=False`: they hold nothing that could lead back to them, and the
collector has 100,000 fewer objects to walk.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Protocol = Literal["smtp", "lmtp", "pop3", "imap", "http", "tcp", "grpc"]
JsonJudgement = Literal["active", "handle"]  # the subject is in the list of the active (S23); a handle is there (S40)
BindingPolicy = Literal["all", "any", "first"]
RestartAction = Literal["restart", "restart-and-fail-over", "do-not-restart"]

PROTOCOLS: tuple[Protocol, ...] = (
    "smtp",
    "lmtp",
    "pop3",
    "imap",
    "http",
    "tcp",
)  # of the metabase; grpc is a type's own
DEFAULT_EXPECT: dict[str, tuple[str, ...]] = {
    "smtp": ("220",),
    "lmtp": ("220",),
    "pop3": ("+OK",),
    "imap": ("* OK", "* PREAUTH"),
    "http": (),
    "tcp": (),
}


class Secret(msgspec.Struct, frozen=True, gc=False):
    """A secret kept in a file; its content is read when used and never printed."""

    file: str


class Binding(msgspec.Struct, frozen=True, gc=False):
    """One address to ask: `ADDRESS:PORT[:HOST]` or `unix:/path`, as written in the store."""

    text: str  # as written, for messages
    address: str  # numeric address or name; "" = the group's own ip-address (loopback without one)
    port: int  # 1-65535; 0 for a unix socket
    host: str | None = None  # Host header of http
    unix_path: str | None = None
    secure: bool = False  # TLS on connect (came from `secure_bindings`)


class Tls(msgspec.Struct, frozen=True, gc=False):
    """How the peer's certificate is judged and what we present."""

    ca_file: str | None = None
    verify: bool = True
    server_name: str | None = None
    client_cert_file: str | None = None
    client_key_file: str | None = None
    min_version: Literal["1.0", "1.1", "1.2", "1.3"] = "1.2"


class IpSecurity(msgspec.Struct, frozen=True, gc=False):
    """The virtual server's access list: networks in CIDR; `deny` wins, an empty `allow` allows all."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


class VirtualServer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A virtual server of the metabase with every inherited default filled in."""

    key: str  # "/smtp/1"
    protocol: Protocol
    bindings: tuple[Binding, ...]  # plain ones first, then the secure ones, each in the order written
    binding_policy: BindingPolicy = "all"
    comment: str = ""
    expect: tuple[str, ...] | None = None  # None: DEFAULT_EXPECT, which must end at a word boundary
    starttls: Literal["off", "required"] = "off"
    tls: Tls = Tls()
    source: str | None = None
    proxy_protocol: Literal["off", "v1", "v2"] = "off"
    helo_name: str | None = None
    path: str = "/"
    host: str | None = None
    method: str = "GET"
    headers: tuple[tuple[str, str | Secret], ...] = ()
    expect_status: str = "200-399"  # "any", or codes and ranges with commas
    body_match: str | None = None  # RE2
    subject: str = ""  # who is asked about, where it is not the server as a whole: a grpc service, a store, an index
    body_json: JsonJudgement | None = None  # the body is JSON, judged so
    probe_timeout_s: float = 5.0
    poll_interval_s: float = 10.0
    fast_interval_s: float = 1.0
    polite: bool = True
    rise: int = 1
    fall: int = 2
    ip_security: IpSecurity | None = None
    auto_start: bool = True


class Controller(msgspec.Struct, frozen=True, gc=False):
    """Who starts and stops the service: its kind and that kind's own parameters, unchecked here."""

    kind: str = "none"
    parameters: dict[str, object] = {}


class Resource(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A resource of a group as configured; `None` in the probe timings means the virtual server's value."""

    group: str
    name: str
    type: str
    depends_on: tuple[str, ...] = ()  # names in the same group
    possible_owners: tuple[str, ...] = ()
    controller: Controller = Controller()
    parameters: dict[str, object] = {}
    restart_action: RestartAction = "restart"
    restart_threshold: int = 2
    restart_period_s: float = 900.0
    restart_delay_s: float = 0.0
    retry_period_s: float | None = None
    pending_timeout_s: float = 180.0
    poll_interval_s: float | None = None
    fast_interval_s: float | None = None
    rise: int | None = None
    fall: int | None = None
    auto_start: bool = True
    implied: bool = False  # made for a virtual server that no resource names


class Group(msgspec.Struct, frozen=True):
    """A set of resources that live on one node together (S11)."""

    name: str
    possible_owners: tuple[str, ...]
    resources: dict[str, Resource]  # by name, in the order written
    deleted: dict[str, dict[str, object]] = {}  # by name: what comes back with the one it is recreated with (S41)


class Store(msgspec.Struct, frozen=True):
    """Both files of a store folder, checked as far as `bindings` can."""

    metabase_revision: int
    cluster_revision: int
    virtual_servers: dict[str, VirtualServer]  # by key
    groups: dict[str, Group]  # by name; the implied group is "default"
    allowed_controllers: tuple[str, ...] = ()
    allowed_files: tuple[str, ...] = ()
    storage_groups_max: int = 4  # that one node mounts (S45)


class StoreProblem(msgspec.Struct, frozen=True):
    """One mistake in the store: where it is, what is wrong, what would mend it."""

    file: str  # "metabase.json"
    pointer: str  # RFC 6901, "/keys/~1smtp~11/bindings/0"
    place: str  # as a person says it: "/smtp/1: bindings[0]"
    message: str  # "port 99999 is above 65535"
    hint: str = ""  # 'did you mean "bindings"?'

    def __str__(self) -> str:
        hint = f"; {self.hint}" if self.hint else ""
        place = f"{self.place}: " if self.place else ""
        at = f" (at {self.pointer})" if self.pointer else ""
        return f"{self.file}: {place}{self.message}{hint}{at}"
