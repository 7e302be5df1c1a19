"""The directory on a real slapd: written, read, edited by other tools, killed, hung, over TLS."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from probe.directory.contract import DirectoryError, DirectoryObject
from probe.directory.drift import ABSENT, Kind, compare
from probe.directory.ldap import LdapDirectory, LdapPlace
from probe.directory.names import Several
from probe.directory.opening import DirectorySettings, open_directory
from probe.environment.files import RealFiles
from probe.environment.streams import RealStreams
from probe.secret import Secret
from probe.values import ResourceId
from tests.directory.slapd import ADMIN, BASE, PASSWORD, READER, Slapd
from tests.e2e.servers.certificates import Authority

SMTP = ResourceId("evs1", "smtp")
STORE = ResourceId("evs1", "store")
GROUPS = [{"name": "a", "mount": ["/bin/mount", "x y"]}]
OBJECT = DirectoryObject(
    SMTP, "smtp", {"virtual_server": "/smtp/1", "n": 5, "on": True, "none": None, "Name": "é  \\,"}
)
TIMEOUT_S = 20.0


def admin(slapd: Slapd, **changed: object) -> LdapDirectory:
    """The directory as the administrator sees it."""
    values: dict[str, object] = {"host": "127.0.0.1", "port": slapd.port, "base": BASE}
    values |= {"bind_dn": ADMIN, "password": Secret(PASSWORD)} | changed
    return LdapDirectory(RealStreams(), LdapPlace(**values), TIMEOUT_S)  # type: ignore[arg-type] # named in the test


def test_objects_are_written_and_read(slapd: Slapd) -> None:
    """S71, S19: every kind of value is read back as it was put; a second put changes nothing; what is gone is gone."""
    directory = admin(slapd)
    store = DirectoryObject(STORE, "information-store", {"storage_groups": GROUPS})
    assert directory.objects() == ()
    assert directory.get(SMTP) is None
    for _ in range(2):
        directory.put(OBJECT)
        directory.put(store)
        assert directory.get(SMTP) == OBJECT
        assert directory.objects() == (OBJECT, store)
    directory.put(DirectoryObject(SMTP, "smtp", {}))
    assert directory.get(SMTP) == DirectoryObject(SMTP, "smtp", {})
    for _ in range(2):
        directory.remove(SMTP)
        assert directory.objects() == (store,)
    directory.remove(STORE)
    assert "ou: evs1" not in slapd.show(BASE)
    assert directory.objects() == ()


def test_entries_are_standard_ones(slapd: Slapd) -> None:
    """Another tool reads type and properties, one value each, in an entry of the standard schema."""
    admin(slapd).put(OBJECT)
    text = slapd.show(f"cn=smtp,ou=evs1,{BASE}")
    assert "objectClass: applicationProcess\n" in text
    assert 'description: type: "smtp"\n' in text
    assert 'description: parameters.virtual_server: "/smtp/1"\n' in text


def test_a_foreign_edit_is_drift(slapd: Slapd) -> None:
    """S73: what ldapmodify changes in one property is found with both values; its remark is not, and outlives a put."""
    directory = admin(slapd)
    directory.put(OBJECT)
    slapd.edit(
        f"dn: cn=smtp,ou=evs1,{BASE}\nchangetype: modify\n"
        'delete: description\ndescription: parameters.virtual_server: "/smtp/1"\n-\n'
        "add: description\ndescription: parameters.virtual_server: /smtp/2\ndescription: moved by ann\n"
    )
    (one,) = compare([OBJECT], directory.objects())
    assert (one.id, one.kind, one.property) == (SMTP, Kind.PROPERTY, "virtual_server")
    assert (one.in_store, one.in_directory) == ("/smtp/1", "/smtp/2")
    directory.put(OBJECT)
    assert compare([OBJECT], directory.objects()) == ()
    assert "description: moved by ann" in slapd.show(f"cn=smtp,ou=evs1,{BASE}")


def test_foreign_deletions_and_doubles(slapd: Slapd) -> None:
    """S73: a property without its value, one with two, a type that is gone, an entry that is gone: each is found."""
    directory = admin(slapd)
    directory.put(OBJECT)
    directory.put(DirectoryObject(STORE, "information-store", {}))
    slapd.edit(
        f"dn: cn=smtp,ou=evs1,{BASE}\nchangetype: modify\n"
        'delete: description\ndescription: parameters.n: 5\ndescription: type: "smtp"\n-\n'
        "add: description\ndescription: parameters.on: false\n\n"
        f"dn: cn=store,ou=evs1,{BASE}\nchangetype: delete\n"
    )
    wanted = [OBJECT, DirectoryObject(STORE, "information-store", {})]
    found = {one.property: one.in_directory for one in compare(wanted, directory.objects())}
    assert isinstance(found["on"], Several)
    assert set(found["on"]) == {True, False}
    assert (found["n"], found["type"], found[""]) == (ABSENT, ABSENT, ABSENT)


def test_other_entries_are_not_ours(slapd: Slapd) -> None:
    """An entry without a value of ours, and one at another depth, are somebody else's; a group that holds one stays."""
    directory = admin(slapd)
    directory.put(OBJECT)
    entry = "objectClass: applicationProcess\ncn: x\n"
    slapd.edit(
        f"dn: cn=x,ou=evs1,{BASE}\n{entry}description: their own\n\n"
        f'dn: cn=x,{BASE}\n{entry}description: type: "smtp"\n\n'
        f'dn: cn=x,cn=smtp,ou=evs1,{BASE}\n{entry}description: type: "smtp"\n',
        "-a",
    )
    assert directory.objects() == (OBJECT,)
    slapd.edit(f"dn: cn=x,cn=smtp,ou=evs1,{BASE}\nchangetype: delete\n")
    directory.remove(SMTP)
    assert "cn: x" in slapd.show(f"cn=x,ou=evs1,{BASE}")


def test_names_that_differ_in_case(slapd: Slapd) -> None:
    """LDAP takes evs1/SMTP for evs1/smtp: the second is refused by name, and never taken for the first."""
    directory = admin(slapd)
    directory.put(OBJECT)
    other = DirectoryObject(ResourceId("evs1", "SMTP"), "smtp", {})
    assert directory.get(other.id) is None
    directory.remove(other.id)
    with pytest.raises(DirectoryError, match="belongs to evs1/smtp"):
        directory.put(other)
    assert directory.objects() == (OBJECT,)


def test_more_objects_than_a_page(slapd: Slapd) -> None:
    """More than one page of objects are all found, in the order of their ids."""
    directory = admin(slapd)
    wanted = tuple(DirectoryObject(ResourceId("many", f"r{number:03}"), "tcp", {"n": number}) for number in range(450))
    for one in reversed(wanted):
        directory.put(one)
    assert directory.objects() == wanted


def test_killed_in_the_middle(slapd: Slapd) -> None:
    """S72: with slapd killed (-9) every call is a DirectoryError; once it is back the same directory object goes on."""
    directory = admin(slapd)
    directory.put(OBJECT)
    slapd.kill()
    for call in (lambda: directory.put(OBJECT), lambda: directory.remove(SMTP), directory.objects):
        with pytest.raises(DirectoryError, match="is the server up"):
            call()
    slapd.start()
    assert directory.objects() == (OBJECT,)


def test_restarted_between_two_calls(slapd: Slapd) -> None:
    """A restart between two calls is not seen by anybody."""
    directory = admin(slapd)
    directory.put(OBJECT)
    slapd.kill()
    slapd.start()
    directory.remove(SMTP)
    assert directory.objects() == ()


def test_a_server_that_hangs(slapd: Slapd) -> None:
    """A stopped server is an error in time, not a hang; afterwards it is asked on a new connection."""
    place = LdapPlace("127.0.0.1", slapd.port, BASE, bind_dn=ADMIN, password=Secret(PASSWORD))
    directory = LdapDirectory(RealStreams(), place, timeout_s=0.5)
    directory.put(OBJECT)
    slapd.signal(signal.SIGSTOP)
    with pytest.raises(DirectoryError, match="no answer in time"):
        directory.objects()
    slapd.signal(signal.SIGCONT)
    patient = admin(slapd)
    assert patient.objects() == (OBJECT,)


@pytest.mark.parametrize("starttls", [False, True])
def test_tls(slapd: Slapd, authority: Authority, starttls: bool) -> None:
    """ldaps:// and STARTTLS work with the authority's file, and with nothing less."""
    url = slapd.url.replace("127.0.0.1", "localhost") if starttls else slapd.tls_url

    def opened(ca_file: str | None) -> LdapDirectory:
        settings = DirectorySettings(url, ADMIN, slapd.password_file, ca_file, starttls)
        directory = open_directory(settings, RealFiles(), RealStreams(), "/nowhere")
        assert isinstance(directory, LdapDirectory)
        return directory

    directory = opened(str(authority.ca_file))
    directory.put(OBJECT)
    assert directory.objects() == (OBJECT,)
    with pytest.raises(DirectoryError, match=r"TLS: .*certificate verify failed"):
        opened(None).objects()
    with pytest.raises(DirectoryError, match="TLS: No such file"):
        opened("/nowhere/ca.pem").objects()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"password": Secret("wrong")}, "result 49.*--directory-bind-dn"),
        ({"bind_dn": READER}, "result 50.*let the bind DN write"),
        ({"base": "ou=nobody,dc=example,dc=org"}, "result 32.*add the base"),
        ({"base": "dc=example,dc=com"}, "result (10|32|53)"),
    ],
)
def test_refusals_say_the_mend(slapd: Slapd, changed: dict[str, object], message: str) -> None:
    """What the server refuses is named with its code and what to do; no password is in it."""
    directory = admin(slapd, **changed)
    with pytest.raises(DirectoryError, match=message) as caught:
        directory.put(OBJECT)
    assert PASSWORD not in str(caught.value)
    assert PASSWORD not in repr(LdapPlace("h", 1, BASE, password=Secret(PASSWORD)))


def test_anybody_may_read(slapd: Slapd, tmp_path: Path) -> None:
    """Without a bind DN the directory is read as nobody."""
    admin(slapd).put(OBJECT)
    directory = open_directory(DirectorySettings(slapd.url), RealFiles(), RealStreams(), str(tmp_path))
    assert directory.objects() == (OBJECT,)
    assert directory.place == slapd.url
