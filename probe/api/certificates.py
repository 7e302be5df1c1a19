"""TLS as a web-config file says: our certificate, whose clients' certificates are asked for, and the oldest version.

The file is a JSON object in the shape that the exporters of Prometheus read as YAML (which JSON is):

    {"tls_server_config": {"cert_file": "server.pem", "key_file": "server.key", "client_ca_file": "clients.pem",
                           "client_auth_type": "RequireAndVerifyClientCert", "min_version": "TLS12"}}

Paths are relative to the file's folder. All of them are looked at again, at most once a second, when somebody connects;
what cannot be used is told once, without a word of its content, and what was in force stays. Connections that are open
keep what they were made with.
"""

from __future__ import annotations

import asyncio
import logging
import posixpath
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from probe.api.tokens import TokenFiles

log = logging.getLogger(__name__)

WEB_CONFIG_BYTES_MAX = 64 * 1024
LOOKED_AT_EVERY_S = 1.0
FILES = ("cert_file", "key_file", "client_ca_file")
CLIENT_AUTH = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
UNVERIFIED = ("RequestClientCert", "RequireAnyClientCert")
VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}


class WebConfigError(Exception):
    """A web-config file that cannot be used; `problems` names each mistake and its mend."""

    def __init__(self, path: str, problems: list[str]) -> None:
        super().__init__("\n".join(f"{path}: {problem}" for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """What the file says, with whole paths and every default filled in."""

    cert_file: str
    key_file: str
    client_ca_file: str | None
    client_auth: ssl.VerifyMode
    min_version: ssl.TLSVersion

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that it names."""
        return tuple(path for path in (self.cert_file, self.key_file, self.client_ca_file) if path is not None)


def parse_web_config(content: bytes, path: str) -> TlsConfig:
    """Read a web-config file. Raises WebConfigError with every mistake; none quotes what the file holds as a value."""
    try:
        document = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError):
        yaml = not content.lstrip().startswith((b"{", b"["))
        hint = '; this looks like YAML: write the same keys as JSON, {"tls_server_config": {…}}' if yaml else ""
        raise WebConfigError(path, [f"is not JSON{hint}"]) from None
    section = document.get("tls_server_config") if isinstance(document, dict) else None
    if not isinstance(section, dict):
        raise WebConfigError(path, ['has no object "tls_server_config"; without TLS, leave out --web-config'])
    problems = [
        f"key {key[:64]!r} is not known here; only tls_server_config is"
        for key in document
        if len(document) > 1 and key != "tls_server_config"
    ]
    known = (*FILES, "client_auth_type", "min_version")
    problems += [
        f"tls_server_config: key {key[:64]!r} is not one of {', '.join(known)}" for key in section if key not in known
    ]
    problems += [
        f"tls_server_config: {key} must be text that is not empty"
        for key in known
        if key in section and not (isinstance(section[key], str) and section[key] and "\0" not in section[key])
    ]
    problems += [f"tls_server_config: {key} is missing" for key in FILES[:2] if key not in section]
    config = None if problems else _config_of(section, posixpath.dirname(path), problems)
    if problems or config is None:
        raise WebConfigError(path, problems)
    return config


def _config_of(section: dict[str, str], folder: str, problems: list[str]) -> TlsConfig | None:
    authority = section.get("client_ca_file")
    kind = section.get("client_auth_type", "RequireAndVerifyClientCert" if authority else "NoClientCert")
    version = section.get("min_version", "TLS12")
    if kind in UNVERIFIED:
        problems.append(
            f"tls_server_config: client_auth_type {kind} takes any certificate, which proves nothing; "
            "write RequireAndVerifyClientCert or VerifyClientCertIfGiven"
        )
    elif kind not in CLIENT_AUTH:
        problems.append(f"tls_server_config: client_auth_type must be one of {', '.join(CLIENT_AUTH)}")
    elif (kind != "NoClientCert") != (authority is not None):
        problems.append("tls_server_config: client_ca_file and a client_auth_type that verifies belong together")
    if version not in VERSIONS:
        problems.append(f"tls_server_config: min_version must be one of {', '.join(VERSIONS)}")
    if problems:
        return None
    cert, key = (posixpath.join(folder, section[name]) for name in FILES[:2])
    ca = None if authority is None else posixpath.join(folder, authority)
    return TlsConfig(cert, key, ca, CLIENT_AUTH[kind], VERSIONS[version])


def context_of(config: TlsConfig) -> ssl.SSLContext:
    """Make the context. Raises OSError (ssl.SSLError is one) or ValueError for files that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = config.min_version
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(config.cert_file, config.key_file, password=_no_password)
    if config.client_ca_file is not None:
        context.load_verify_locations(cafile=config.client_ca_file)
    context.verify_mode = config.client_auth
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted, and there is nobody to ask for its password")


class _Live(ssl.SSLContext):
    """What a listener is made with: each handshake takes the context that is in force then."""

    current: Callable[[], ssl.SSLContext]

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """Begin a handshake."""
        return self.current().wrap_bio(*arguments, **options)


class Certificates:
    """The TLS context as the files are now."""

    def __init__(self, files: TokenFiles, path: str, now: Callable[[], float] | None = None) -> None:
        """Read it all once. Raises WebConfigError, also when a file that is named cannot be used."""
        self._files = files
        self._path = path
        self._now = now or _loop_time
        self._config, self._stamps, self._context = self._load()
        self._looked_at: float | None = None

    def __repr__(self) -> str:
        return f"<Certificates of {self._path}>"

    def context(self) -> ssl.SSLContext:
        """Return the context for a new connection."""
        now = self._now()
        if self._looked_at is None or now - self._looked_at >= LOOKED_AT_EVERY_S:
            self._looked_at = now
            self._refresh()
        return self._context

    def live(self) -> ssl.SSLContext:
        """Return a context for a listener, which stays current."""
        made = _Live(ssl.PROTOCOL_TLS_SERVER)
        made.current = self.context
        return made

    def _refresh(self) -> None:
        stamps = self._stamps_of(self._config)
        if stamps == self._stamps:
            return
        try:
            self._config, self._stamps, self._context = self._load()
        except WebConfigError as error:
            self._stamps = stamps  # told once; the next change is the next try
            log.error(  # noqa: TRY400 - the text is the whole fault; a stack would say nothing
                "what TLS uses has changed and cannot be used, so nothing changes: %s", error
            )
        else:
            log.info("what TLS uses has changed and is in force for new connections")

    def _stamps_of(self, config: TlsConfig) -> tuple[Any, ...]:
        return tuple(map(self._stamp, (self._path, *config.files)))

    def _stamp(self, path: str) -> object | None:
        try:
            return self._files.stamp(path)
        except OSError:
            return None

    def _load(self) -> tuple[TlsConfig, tuple[Any, ...], ssl.SSLContext]:
        try:
            content = self._files.read(self._path, WEB_CONFIG_BYTES_MAX)
        except OSError as error:
            raise WebConfigError(self._path, [f"cannot be read: {error.strerror or error}"]) from None
        config = parse_web_config(content, self._path)
        stamps = self._stamps_of(config)  # before they are read: what changes meanwhile is seen the next time
        missing = [
            f"{path} is not there" for path, stamp in zip(config.files, stamps[1:], strict=True) if stamp is None
        ]
        if missing:
            raise WebConfigError(self._path, missing)
        try:
            return config, stamps, context_of(config)
        except (OSError, ValueError) as error:
            raise WebConfigError(self._path, [_reason(error, config)]) from None


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def _reason(error: OSError | ValueError, config: TlsConfig) -> str:
    """Say what OpenSSL says, in its closed words; the text of an error may quote a file."""
    if isinstance(error, ssl.SSLError):
        said = (error.reason or "unknown").lower().replace("_", " ")
        return f"{' or '.join(config.files)} cannot be used: {said}"
    if isinstance(error, OSError):
        return f"{' or '.join(config.files)} cannot be read: {error.strerror}"
    return f"{config.key_file}: {error}"
