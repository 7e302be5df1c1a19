"""The two messages of grpc.health.v1 in protobuf's wire format: too little for a library. Pure."""

from __future__ import annotations

VARINT_BYTES_MAX = 10
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_FIXED = {_FIXED_64: 8, _FIXED_32: 4}


def message_of(service: bytes) -> bytes:
    """Write a HealthCheckRequest (`string service = 1`) behind its gRPC prefix: uncompressed, and its length."""
    body = b"\x0a" + _varint(len(service)) + service if service else b""
    return b"\x00" + len(body).to_bytes(4, "big") + body


def status_of(message: bytes) -> int:
    """Read a HealthCheckResponse (`ServingStatus status = 1`; 0 when it is left out). Raises ValueError."""
    status = at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        field, kind = tag >> 3, tag & 7
        if field == 0:
            raise ValueError("a field has the number 0")
        if kind == _VARINT:
            value, at = _read_varint(message, at)
            status = value if field == 1 else status
            continue
        if field == 1:
            raise ValueError("the status is no number")
        if kind == _BYTES:
            length, at = _read_varint(message, at)
        elif kind in _FIXED:
            length = _FIXED[kind]
        else:
            raise ValueError(f"wire type {kind}")
        at += length
        if at > len(message):
            raise ValueError("a field runs over the end")
    return status


def _varint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(VARINT_BYTES_MAX):
        if at >= len(message):
            raise ValueError("a number runs over the end")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at
    raise ValueError(f"a number has more than {VARINT_BYTES_MAX} bytes")
