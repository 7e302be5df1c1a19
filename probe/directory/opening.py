"""Which directory there is: the embedded one unless a URL names another."""

from __future__ import annotations

import ipaddress
from urllib.parse import unquote, urlsplit

from bindings.files import Files
from probe.directory.contract import Directory, DirectoryError
from probe.directory.embedded import EmbeddedDirectory
from probe.directory.ldap import LdapDirectory, LdapPlace
from probe.directory.names import split_dn
from probe.directory.settings import EMBEDDED, DirectorySettings
from probe.environment.streams import Streams
from probe.secret import Secret

__all__ = ["DirectorySettings", "open_directory", "parse_url"]

PASSWORD_BYTES_MAX = 4096
PORTS = {"ldap": 389, "ldaps": 636}


def open_directory(
    settings: DirectorySettings, files: Files, streams: Streams, store_path: str, state_path: str | None = None
) -> Directory:
    """Open the directory that the settings name; nothing is connected yet. Raises DirectoryError with the mend."""
    if settings.url is None or settings.url == EMBEDDED:
        return EmbeddedDirectory(files, store_path, state_path)
    host, port, base, tls = parse_url(settings.url)
    if tls and settings.starttls:
        raise DirectoryError("--directory ldaps://... is TLS from the start; leave out --directory-starttls")
    if (settings.bind_dn is None) != (settings.password_file is None):
        raise DirectoryError("--directory-bind-dn and --directory-password-file belong together")
    if settings.ca_file is not None and not (tls or settings.starttls):
        raise DirectoryError("--directory-ca-file without TLS; use ldaps:// or --directory-starttls required")
    password = ""
    if settings.password_file is not None:
        if not (tls or settings.starttls or _is_loopback(host)):
            raise DirectoryError(
                f"the password would go to {host} in clear; use ldaps:// or --directory-starttls required"
            )
        password = _read_password(files, settings.password_file)
    place = LdapPlace(
        host, port, base, tls, settings.starttls, settings.ca_file, settings.bind_dn or "", Secret(password)
    )
    return LdapDirectory(streams, place)


def parse_url(url: str) -> tuple[str, int, str, bool]:
    """Read `ldap[s]://HOST[:PORT]/BASE-DN` (RFC 4516): host, port, base, TLS. Raises DirectoryError with the mend."""
    example = "write ldap://127.0.0.1:389/ou=looksalive,dc=example,dc=org"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise DirectoryError(f"--directory: {error}; {example}") from error
    if parts.scheme not in PORTS or not host:
        raise DirectoryError(f"--directory: {parts.scheme or 'it'} names no directory; {example}, or {EMBEDDED}")
    if "@" in parts.netloc:
        raise DirectoryError(
            "--directory takes no user or password; use --directory-bind-dn, --directory-password-file"
        )
    if parts.query or parts.fragment:
        raise DirectoryError(f"--directory takes nothing behind the base; {example}")
    base = unquote(parts.path.removeprefix("/"))
    try:
        split_dn(base)
    except ValueError as error:
        raise DirectoryError(f"--directory: the base is no distinguished name: {error}; {example}") from error
    return host, port or PORTS[parts.scheme], base, parts.scheme == "ldaps"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read_password(files: Files, path: str) -> str:
    """Read the file's first line. An empty one is refused: a server takes it for nobody (RFC 4513 section 5.1.2)."""
    try:
        text = files.read(path, PASSWORD_BYTES_MAX).decode()
    except OSError as error:
        raise DirectoryError(f"--directory-password-file {path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DirectoryError(f"--directory-password-file {path} is no UTF-8 text") from error
    password = text.split("\n", 1)[0].rstrip("\r")
    if not password:
        raise DirectoryError(f"--directory-password-file {path} is empty; write the password into its first line")
    return password
