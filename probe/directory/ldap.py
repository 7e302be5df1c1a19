"""A directory on an LDAP server (RFC 4511), under a base of its own.

    ou=GROUP,BASE             organizationalUnit
    cn=NAME,ou=GROUP,BASE     applicationProcess (RFC 4519 section 3.2)
        description: type: "smtp"
        description: parameters.virtual_server: "/smtp/1"

Both classes and all attributes are of the schema that every server has (RFC 4519): nothing has to be loaded there. Each
property is a value of its own under the path that cluster.json has it at, so any LDAP tool can show and change one
without touching the others; what such a tool writes without quotes counts as text. Other values of `description` are
remarks and stay. One JSON document in one value was rejected: an edit of it by hand is an edit of everything.

Names are compared as LDAP compares them, without regard to case: two resources of one group that differ in nothing else
cannot both have an object, and the second is refused. Each call has a connection of its own, so that a server may
restart between two, and threads need not wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from probe.directory.contract import DirectoryError, DirectoryObject
from probe.directory.messages import (
    ALREADY_EXISTS,
    BASE,
    NO_SUCH_OBJECT,
    NOT_ON_NON_LEAF,
    SUBTREE,
    Entry,
    LdapBroken,
    LdapRefused,
    LdapSession,
)
from probe.directory.names import escape_value, read_values, split_dn, write_values
from probe.environment.streams import Streams
from probe.secret import Secret
from probe.values import ResourceId

TIMEOUT_S = 10.0  # of connecting with bind and TLS, and of each request
OBJECT_CLASS, GROUP_CLASS, ATTRIBUTE = "applicationProcess", "organizationalUnit", "description"

_Result = TypeVar("_Result")
_MENDS = {  # by result code, RFC 4511 appendix A
    4: "raise the server's sizelimit for this bind DN",
    10: "name the server that holds the base",
    13: "use ldaps:// or --directory-starttls required",
    32: "add the base to the server first, or mend the URL",
    34: "mend the base of the URL",
    49: "mend --directory-bind-dn or the password file",
    50: "let the bind DN write below the base",
}


@dataclass(frozen=True, slots=True)
class LdapPlace:
    """Where the server is and who we are there. The password never shows."""

    host: str
    port: int
    base: str
    tls: bool = False  # ldaps://
    starttls: bool = False
    ca_file: str | None = None  # None: the system's authorities
    bind_dn: str = ""  # "": anonymous
    password: Secret[str] = field(default_factory=lambda: Secret(""))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'ldaps' if self.tls else 'ldap'}://{host}:{self.port}/{self.base}"


class LdapDirectory:
    """`Directory` on an LDAP server."""

    def __init__(self, streams: Streams, place: LdapPlace, timeout_s: float = TIMEOUT_S) -> None:
        self._streams = streams
        self._place = place
        self._timeout_s = timeout_s
        self._depth = len(split_dn(place.base))

    @property
    def place(self) -> str:
        """The URL."""
        return str(self._place)

    def get(self, id: ResourceId) -> DirectoryObject | None:
        """Return the object of a resource, or None."""

        def read(session: LdapSession) -> DirectoryObject | None:
            entry = self._entry(session, id)
            return None if entry is None or self._id(entry) != id else _object(id, entry)

        return self._do(read)

    def put(self, object: DirectoryObject) -> None:
        """Create the object, or make it equal to this one in one step; remarks stay."""
        values = write_values(object.type, object.properties)

        def write(session: LdapSession) -> None:
            entry = self._entry(session, object.id)
            if entry is None and self._add(session, object.id, values):
                return
            entry = entry or self._entry(session, object.id)  # somebody was faster
            dn = self._dn(object.id)
            if entry is None:
                raise DirectoryError(f"{self.place}: {dn} is there but no {OBJECT_CLASS}; remove it")
            if (other := self._id(entry)) != object.id:
                raise DirectoryError(
                    f"{self.place}: {entry.dn} belongs to {other or 'somebody else'}, and LDAP does not tell it from "
                    f"{object.id}; rename one of the two"
                )
            written = entry.attributes.get(ATTRIBUTE, ())
            wanted = [*values, *read_values(written).remarks]
            if sorted(written) != sorted(wanted):
                session.replace(entry.dn, ATTRIBUTE, wanted)

        self._do(write)

    def remove(self, id: ResourceId) -> None:
        """Remove the object, and its group's entry with the last one."""

        def erase(session: LdapSession) -> None:
            entry = self._entry(session, id)
            if entry is not None and self._id(entry) == id:
                _forgiving(session.delete, entry.dn)
            _forgiving(session.delete, self._group_dn(id.group))

        self._do(erase)

    def objects(self) -> tuple[DirectoryObject, ...]:
        """Return every object below the base, in the order of their ids; entries with no value of ours are not ours."""

        def list_all(session: LdapSession) -> tuple[DirectoryObject, ...]:
            entries = session.search(self._place.base, SUBTREE, OBJECT_CLASS, [ATTRIBUTE])
            named = ((self._id(entry), entry) for entry in entries)
            found = [_object(id, entry) for id, entry in named if id is not None and _is_ours(entry)]
            return tuple(sorted(found, key=lambda one: one.id))

        return self._do(list_all)

    def _do(self, work: Callable[[LdapSession], _Result]) -> _Result:
        try:
            session = self._connect()
            try:
                return work(session)
            finally:
                session.close()
        except LdapBroken as error:
            raise DirectoryError(f"{self.place}: {error}; is the server up, and is this its URL?") from error
        except LdapRefused as error:
            mend = _MENDS.get(error.code, "see the server's log")
            raise DirectoryError(f"{self.place} refused: {error}; {mend}") from error

    def _connect(self) -> LdapSession:
        place = self._place
        try:
            stream = self._streams.connect(place.host, place.port, self._timeout_s)
        except OSError as error:
            raise LdapBroken(str(error.strerror or error)) from error
        session = LdapSession(stream, self._timeout_s)
        try:
            if place.tls:
                session.secure(place.host, place.ca_file)
            elif place.starttls:
                session.start_tls(place.host, place.ca_file)
            if place.bind_dn:
                session.bind(place.bind_dn, place.password.reveal())
        except BaseException:
            session.close()
            raise
        return session

    def _add(self, session: LdapSession, id: ResourceId, values: list[str]) -> bool:
        """Add the object and, where it is missing, its group; False when there is one by now."""
        group = {"objectClass": ["top", GROUP_CLASS], "ou": [id.group]}
        try:
            session.add(self._group_dn(id.group), group)
        except LdapRefused as error:
            if error.code != ALREADY_EXISTS:
                raise
        try:
            session.add(self._dn(id), {"objectClass": ["top", OBJECT_CLASS], "cn": [id.name], ATTRIBUTE: values})
        except LdapRefused as error:
            if error.code != ALREADY_EXISTS:
                raise
            return False
        return True

    def _entry(self, session: LdapSession, id: ResourceId) -> Entry | None:
        try:
            found = session.search(self._dn(id), BASE, OBJECT_CLASS, [ATTRIBUTE])
        except LdapRefused as error:
            if error.code != NO_SUCH_OBJECT:
                raise
            return None
        return found[0] if found else None

    def _dn(self, id: ResourceId) -> str:
        return f"cn={escape_value(id.name)},{self._group_dn(id.group)}"

    def _group_dn(self, group: str) -> str:
        return f"ou={escape_value(group)},{self._place.base}"

    def _id(self, entry: Entry) -> ResourceId | None:
        """Read the id off an entry's name as the server keeps it, case and all; None for another kind of name."""
        try:
            parts = split_dn(entry.dn)
        except ValueError:
            return None
        if len(parts) != self._depth + 2 or (parts[0][0], parts[1][0]) != ("cn", "ou"):
            return None
        return ResourceId(parts[1][1], parts[0][1])


def _is_ours(entry: Entry) -> bool:
    return read_values(entry.attributes.get(ATTRIBUTE, ())).is_ours


def _object(id: ResourceId, entry: Entry) -> DirectoryObject:
    written = read_values(entry.attributes.get(ATTRIBUTE, ()))
    return DirectoryObject(id, written.type, written.properties)


def _forgiving(call: Callable[[str], None], dn: str) -> None:
    """Delete what may be gone already, or still hold somebody else's entries."""
    try:
        call(dn)
    except LdapRefused as error:
        if error.code not in (NO_SUCH_OBJECT, NOT_ON_NON_LEAF):
            raise
