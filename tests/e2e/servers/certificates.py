"""A certificate authority made for one test run, and the good and bad certificates that servers show."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOSTS = ("localhost", "mail.example.org")
DAY = dt.timedelta(days=1)
VALIDITY = 5 * DAY


@dataclass(frozen=True)
class Certificate:
    """PEM files of a certificate and its key, and the end of its validity as a Unix time."""

    certificate_file: Path
    key_file: Path
    not_after: float


class Authority:
    """An own CA: `ca_file` is what a client trusts; each certificate is made once, on demand."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, Certificate] = {}
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("looksalive test authority")
        now = _now()
        certificate = (
            _builder(self._name, self._name, self._key, now - DAY, now + 2 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    @property
    def good(self) -> Certificate:
        """Valid for localhost, mail.example.org and 127.0.0.1."""
        return self._make("good", HOSTS)

    @property
    def wrong_host(self) -> Certificate:
        """Trusted and in date, but for another host."""
        return self._make("wrong-host", ("other.example.net",), address=False)

    @property
    def expired(self) -> Certificate:
        """For the right host, by the right authority, over since yesterday."""
        return self._make("expired", HOSTS, end=-DAY)

    @property
    def not_yet_valid(self) -> Certificate:
        """For the right host, by the right authority, from tomorrow on."""
        return self._make("not-yet-valid", HOSTS, end=VALIDITY + DAY)

    @property
    def address_only(self) -> Certificate:
        """For another host, and for 127.0.0.1."""
        return self._make("address-only", ("other.example.net",))

    @property
    def self_signed(self) -> Certificate:
        """For the right host, by nobody that a client trusts."""
        return self._make("self-signed", HOSTS, own=True)

    def _make(
        self,
        label: str,
        hosts: tuple[str, ...],
        *,
        end: dt.timedelta = DAY,
        address: bool = True,
        own: bool = False,
    ) -> Certificate:
        if label in self._made:
            return self._made[label]
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(hosts[0])
        names: list[x509.GeneralName] = [x509.DNSName(host) for host in hosts]
        if address:
            names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        not_after = _now() + end
        certificate = (
            _builder(subject, subject if own else self._name, key, not_after - VALIDITY, not_after)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(key if own else self._key, hashes.SHA256())
        )
        made = Certificate(self._folder / f"{label}.pem", self._folder / f"{label}.key", not_after.timestamp())
        made.certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        made.key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        self._made[label] = made
        return made


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(microsecond=0)  # X.509 counts whole seconds


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    begin: dt.datetime,
    end: dt.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )
