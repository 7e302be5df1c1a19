"""probe/checks/certificate.py against certificates made by the `cryptography` package, and against noise."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.checks.certificate import CERTIFICATE_BYTES_MAX, NAMES_MAX, names, not_after

KEY = ec.generate_private_key(ec.SECP256R1())
SUBJECT = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail.example.org")])


def certificate(end: datetime, alternatives: list[x509.GeneralName] | None = None) -> bytes:
    """Make a self-signed certificate that ends then, in DER."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(SUBJECT)
        .issuer_name(SUBJECT)
        .public_key(KEY.public_key())
        .serial_number(4711)
        .not_valid_before(datetime(1970, 1, 2, tzinfo=UTC))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    if alternatives is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


GOOD = certificate(datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC), [x509.DNSName("mail.example.org")])


@settings(max_examples=40, deadline=None)
@given(st.integers(3 * 86_400, 253_402_300_799))
def test_end_agrees_with_cryptography(seconds: int) -> None:
    """The end of any certificate, in this century or past 2050 (GeneralizedTime), is what another reader finds."""
    end = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    der = certificate(end)
    assert not_after(der) == x509.load_der_x509_certificate(der).not_valid_after_utc.timestamp() == seconds


def test_names_are_the_alternative_ones() -> None:
    """DNS names and addresses are listed in order; other kinds of names are passed over."""
    der = certificate(
        datetime(2030, 1, 1, tzinfo=UTC),
        [
            x509.DNSName("*.example.org"),
            x509.RFC822Name("postmaster@example.org"),
            x509.IPAddress(ipaddress.ip_address("192.0.2.1")),
            x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
        ],
    )
    assert names(der) == ("*.example.org", "192.0.2.1", "2001:db8::1")


def test_no_names_without_the_extension() -> None:
    """A certificate without alternative names has none, whatever its subject says."""
    assert names(certificate(datetime(2030, 1, 1, tzinfo=UTC))) == ()


def test_names_are_bounded() -> None:
    """A certificate with hundreds of names gives the first of them."""
    many = [x509.DNSName(f"n{number}.example.org") for number in range(NAMES_MAX + 50)]
    assert len(names(certificate(datetime(2030, 1, 1, tzinfo=UTC), [*many]))) == NAMES_MAX


@pytest.mark.parametrize(
    ("what", "der"),
    [
        ("nothing", b""),
        ("cut short", GOOD[:-1]),
        ("bytes behind", GOOD + b"\x00"),
        ("too large", b"\x30" * (CERTIFICATE_BYTES_MAX + 1)),
        ("indefinite length", b"\x30\x80" + GOOD[4:] + b"\x00\x00"),
        ("length of five bytes", b"\x30\x85\x00\x00\x00\x00\x00"),
        ("thirteenth month", GOOD.replace(b"310506070809Z", b"311306070809Z")),
        ("no Z", GOOD.replace(b"310506070809Z", b"310506070809X")),
        ("no digits", GOOD.replace(b"310506070809Z", b"3105060708 9Z")),
    ],
)
def test_malformed_is_a_value_error(what: str, der: bytes) -> None:
    """A certificate that is no certificate raises ValueError."""
    with pytest.raises(ValueError, match=r".+"):
        not_after(der)


def test_the_good_one_is_good() -> None:
    """The certificate that the malformed ones are made of is read."""
    assert not_after(GOOD) == datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC).timestamp()


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_noise_raises_value_error_only(data: st.DataObject) -> None:
    """Arbitrary bytes, and a real certificate with some of its bytes changed, give an answer or a ValueError."""
    der = bytearray(data.draw(st.one_of(st.binary(max_size=200), st.just(GOOD))))
    for at, byte in data.draw(
        st.dictionaries(st.integers(0, max(0, len(der) - 1)), st.integers(0, 255), max_size=4)
    ).items():
        if at < len(der):
            der[at] = byte
    for read in (not_after, names):
        try:
            read(bytes(der))
        except ValueError:
            continue
