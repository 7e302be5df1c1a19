"""What the table's peers are made with: certificates and TLS contexts by name, one folder of files."""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from tests.e2e.servers.certificates import Authority, Certificate

OLD_CIPHERS = "DEFAULT:@SECLEVEL=0"  # what a server of 2010 still offers; OpenSSL 3 does at no other level
NAMES = ("mail.example.org", "localhost")  # the second for checkers that cannot tell the name from the address


class Kit:
    """An authority, the files made by it, and a server's TLS context for each way of showing a certificate.

    In a row's properties a value such as `ca.pem` names a file of the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder)
        stranger = folder / "stranger"
        stranger.mkdir()
        self._stranger = Authority(stranger)
        self.file_named("client.pem").write_bytes(self.authority.good.certificate_file.read_bytes())
        self.file_named("client.key").write_bytes(self.authority.good.key_file.read_bytes())
        both = ("client.pem", "client.key")
        self.file_named("client-and-key.pem").write_bytes(b"".join(self.file_named(one).read_bytes() for one in both))

    def file_named(self, name: str) -> Path:
        """Say where a file of the kit is."""
        return self.folder / name

    @cached_property
    def contexts(self) -> dict[str, ssl.SSLContext]:
        """Make all contexts, by name."""
        authority = self.authority
        shown = {
            "good": authority.good,
            "expired": authority.expired,
            "not yet valid": authority.not_yet_valid,
            "self-signed": authority.self_signed,
            "wrong host": authority.wrong_host,
            "other name, right address": authority.address_only,
            "stranger's": self._stranger.good,
        }
        contexts = {name: _context(certificate) for name, certificate in shown.items()}
        contexts["TLS 1.1 at most"] = _context(authority.good, _at_most(ssl.TLSVersion.TLSv1_1))
        contexts["TLS 1.0 only"] = _context(authority.good, _at_most(ssl.TLSVersion.TLSv1))
        contexts["TLS 1.2 only"] = _context(authority.good, _at_most(ssl.TLSVersion.TLSv1_2))
        contexts["TLS 1.3 only"] = _context(authority.good, _at_least(ssl.TLSVersion.TLSv1_3))
        contexts["by name"] = _context(authority.wrong_host, _by_name(contexts["good"]))
        contexts["wants a certificate"] = _context(authority.good, self._wants_certificate)
        contexts["wants a certificate, TLS 1.2"] = _context(
            authority.good, self._wants_certificate, _at_most(ssl.TLSVersion.TLSv1_2)
        )
        return contexts

    def _wants_certificate(self, context: ssl.SSLContext) -> None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self.authority.ca_file)


def _context(certificate: Certificate, *changes: Callable[[ssl.SSLContext], None]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate_file, certificate.key_file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions are what some rows are about
        for change in changes:
            change(context)
    return context


def _at_most(version: ssl.TLSVersion) -> Callable[[ssl.SSLContext], None]:
    def change(context: ssl.SSLContext) -> None:
        if version < ssl.TLSVersion.TLSv1_2:
            context.set_ciphers(OLD_CIPHERS)
            context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = version

    return change


def _at_least(version: ssl.TLSVersion) -> Callable[[ssl.SSLContext], None]:
    def change(context: ssl.SSLContext) -> None:
        context.minimum_version = version

    return change


def _by_name(named: ssl.SSLContext) -> Callable[[ssl.SSLContext], None]:
    """Show another context's certificate to who asks for the name."""

    def choose(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        del context
        if name in NAMES:
            connection.context = named

    def change(context: ssl.SSLContext) -> None:
        context.sni_callback = choose

    return change
