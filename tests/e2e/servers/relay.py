"""A server that needs another one for every answer, as mail servers need their store: a gate in front of a real one."""

from __future__ import annotations

import select
import socket

from tests.e2e.servers.misbehaving import CONNECTION_S, READ_BYTES, Peer

LOOK_S = 0.05


def needing(store_port: int, port: int) -> Peer:
    """Make a peer that is the server on `port`, once the store has greeted it; without the store it says nothing."""

    def serve(peer: Peer, client: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", store_port), timeout=CONNECTION_S) as store:
            while not readable(store):
                if not peer.pause(0) or has_gone(client):
                    return
        with socket.create_connection(("127.0.0.1", port), timeout=CONNECTION_S) as server:
            while peer.pause(0):
                for one in readable(server, client):
                    data = one.recv(READ_BYTES)
                    if not data:
                        return
                    (client if one is server else server).sendall(data)

    return Peer(serve)


def readable(*watched: socket.socket) -> list[socket.socket]:
    """List those that have something to say, or have ended, after a short wait."""
    return select.select(watched, (), (), LOOK_S)[0]


def has_gone(client: socket.socket) -> bool:
    """Tell whether a client that has said nothing has ended."""
    return bool(select.select((client,), (), (), 0)[0]) and client.recv(1, socket.MSG_PEEK) == b""
