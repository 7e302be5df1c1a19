"""A store that says by itself how it is: gRPC health by grpcio's own servicer, plain and under TLS, and JSON by HTTP.

`python health.py GRPC_PORT GRPCS_PORT HTTP_PORT CERTIFICATE KEY FILE`; FILE lists the active names.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from tests.e2e.ports import free_port
from tests.e2e.servers.certificates import Certificate
from tests.e2e.servers.real import RealServer

ACTIVE = health_pb2.HealthCheckResponse.SERVING
KNOWN = ("evs1", "evs2")


class HealthServer(RealServer):
    """The program below; `activate` says who is active from now on."""

    def __init__(self, folder: Path, certificate: Certificate) -> None:
        folder.mkdir(exist_ok=True)
        self.grpc_port, self.grpcs_port, self.http_port = free_port(), free_port(), free_port()
        self._file = folder / "active"
        self.activate(*KNOWN)
        ports = (self.grpc_port, self.grpcs_port, self.http_port)
        files = (certificate.certificate_file, certificate.key_file, self._file)
        command = [sys.executable, "-m", "tests.e2e.servers.health", *map(str, ports + files)]
        super().__init__(folder, ["env", f"PYTHONPATH={Path(__file__).parents[3]}", *command], ports)

    def activate(self, *names: str) -> None:
        """Say who is active; the others that it knows are not."""
        fresh = self._file.with_suffix(".fresh")
        fresh.write_text("\n".join(names))
        fresh.replace(self._file)


class Store:
    """Who is active, as the file says at each call."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def names(self) -> list[str]:
        """Read the names."""
        return self._file.read_text().split()


class Servicer(health.HealthServicer):  # type: ignore[misc] # grpcio ships no types
    """grpcio's own servicer, told before each answer what the file says."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 - the published name
        """Answer the one call of the protocol."""
        active = self._store.names()
        for name in KNOWN:
            self.set(name, ACTIVE if name in active else health_pb2.HealthCheckResponse.NOT_SERVING)
        return super().Check(request, context)


def handler_of(store: Store) -> type[BaseHTTPRequestHandler]:
    """Make the handler of the JSON half."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer `/active`, and `/index?index=NAME` with a handle, or null where there is no such index."""
            address = urlsplit(self.path)
            named = parse_qs(address.query).get("index", [""])[0]
            handle = f"handle of {named}" if named in store.names() else None
            body = {"active": store.names()} if address.path == "/active" else {"handle": handle}
            data = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler


def main(grpc_port: str, grpcs_port: str, http_port: str, certificate: str, key: str, file: str) -> None:
    """Serve for ever."""
    store = Store(Path(file))
    server = grpc.server(ThreadPoolExecutor(4))
    health_pb2_grpc.add_HealthServicer_to_server(Servicer(store), server)
    server.add_insecure_port(f"127.0.0.1:{grpc_port}")
    pair = (Path(key).read_bytes(), Path(certificate).read_bytes())
    server.add_secure_port(f"127.0.0.1:{grpcs_port}", grpc.ssl_server_credentials([pair]))
    server.start()
    ThreadingHTTPServer(("127.0.0.1", int(http_port)), handler_of(store)).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
