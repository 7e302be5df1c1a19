"""Who may hold a connection: the rules alone, over made-up addresses, and the server that obeys them."""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.api.app import ApiSettings
from probe.api.door import Door, Proxies, Seat, account_of
from probe.api.limits import Limits, limits_for
from tests.api.conftest import TOKENS, Opener, Outside, token_lines
from tests.api.service import StaticService, report

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]
HEAD = "GET {path} HTTP/1.1\r\nHost: localhost\r\n"


class People:
    """Connections that a test opens at a door; `cut` has the numbers of those that the door ended."""

    def __init__(self, limits: Limits, proxies: Proxies | None = None) -> None:
        self.door = Door(limits, proxies)
        self.cut: list[int] = []
        self.seats: list[Seat | None] = []

    def come(self, address: str) -> Seat:
        seat = self.arrive(address)
        assert seat is not None
        return seat

    def arrive(self, address: str) -> Seat | None:
        number = len(self.seats)
        self.seats.append(self.door.admit(address, lambda: self.cut.append(number)))
        return self.seats[-1]

    def ask(self, seat: Seat, client: str = "", *, known: bool = False, essential: bool = False) -> str:
        return self.door.begin(seat, client, known=known, essential=essential)


def test_the_quiet_one_of_the_same_address_makes_room() -> None:
    """Where an address has too many, its own connection that was quiet for longest goes, and nobody else's."""
    people = People(Limits(per_address=2))
    other = people.come("10.0.0.9")
    first, second = people.come("10.0.0.1"), people.come("10.0.0.1")
    people.ask(first)
    people.door.rest(first)  # so the second has been quiet for longer
    third = people.come("10.0.0.1")
    assert people.cut == [2]
    assert not third.guest
    assert people.ask(other) == people.ask(third) == ""
    assert people.ask(second) == ""  # it has been cut; what it still says changes nothing
    assert people.door.held == 3


def test_an_address_that_is_busy_gets_no_more() -> None:
    """With every connection of an address busy, one more is told so, except for what is essential or with a token."""
    people = People(Limits(per_address=2))
    held = [people.come("10.0.0.1") for _ in range(2)]
    assert [people.ask(seat) for seat in held] == ["", ""]
    assert people.ask(people.come("10.0.0.1")) == "too_many_of_address"
    assert people.ask(people.come("10.0.0.1"), essential=True) == ""
    assert people.ask(people.come("10.0.0.1"), known=True) == ""
    assert people.ask(people.come("10.0.0.2")) == ""
    assert people.cut == []


def test_a_guest_becomes_a_member_when_there_is_room() -> None:
    """A guest that asks again once somebody has left is served like everybody."""
    people = People(Limits(connections=1))
    member, guest = people.come("10.0.0.1"), None
    people.ask(member)
    guest = people.come("10.0.0.2")
    assert (guest.guest, people.ask(guest)) == (True, "too_many_connections")
    people.door.rest(guest)
    people.door.leave(member)
    assert (people.ask(guest), guest.guest) == ("", False)


def test_a_token_frees_the_address() -> None:
    """A connection that showed a token is not counted for its address any more, however many there are."""
    people = People(Limits(per_address=2))
    for _ in range(10):
        assert people.ask(people.come("10.0.0.1"), known=True) == ""
    assert [people.ask(people.come("10.0.0.1")) for _ in range(3)] == ["", "", "too_many_of_address"]
    assert people.cut == []


def test_no_crowd_fills_the_reserve() -> None:
    """With members busy and guests quiet, a newcomer still gets in: the oldest quiet guest goes."""
    people = People(Limits(connections=3, reserve=2))
    for number in range(3):
        people.ask(people.come(f"10.0.0.{number}"))
    for number in range(100):
        people.come(f"10.0.1.{number}")
    assert people.ask(people.come("10.0.2.1"), essential=True) == ""
    assert people.door.held == 5
    assert len(people.cut) == 99


def test_nobody_who_is_busy_is_sent_away() -> None:
    """Where all are busy, the reserve too, the newcomer is not let in."""
    people = People(Limits(connections=1, reserve=1))
    people.ask(people.come("10.0.0.1"))
    people.ask(people.come("10.0.0.2"), essential=True)
    assert people.arrive("10.0.0.3") is None
    assert people.cut == []


def test_a_proxy_counts_for_whom_it_names() -> None:
    """What a trusted proxy holds open is nobody's; what is under way counts for the client that it names."""
    proxies = Proxies([ipaddress.ip_network("10.9.0.0/16")])
    people = People(Limits(per_address=2), proxies)
    held = [people.come("10.9.0.1") for _ in range(5)]
    assert [people.ask(seat, "192.0.2.1") for seat in held[:3]] == ["", "", "too_many_of_address"]
    assert people.ask(held[3], "192.0.2.2") == ""
    people.door.rest(held[0])
    people.door.rest(held[2])
    assert people.ask(held[4], "192.0.2.1") == ""
    assert people.cut == []


@pytest.mark.parametrize(
    ("address", "account"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_accounts(address: str, account: str) -> None:
    """An IPv4 address counts for itself, however it is written; an IPv6 one for its /64."""
    assert account_of(address) == account


STEPS = st.lists(st.tuples(st.sampled_from(["come", "ask", "tell", "rest", "leave"]), st.integers(0, 30)), max_size=120)


@settings(deadline=None, max_examples=200)
@given(STEPS)
def test_the_bounds_hold_whatever_happens(steps: list[tuple[str, int]]) -> None:
    """In any order of events: never more than the bounds, nobody busy is cut, and an empty door forgets everybody."""
    limits = Limits(connections=5, per_address=2, reserve=2)
    people = People(limits, Proxies([ipaddress.ip_network("10.9.0.0/16")]))
    for step, number in steps:
        if step == "come":
            people.arrive(f"10.{9 if number % 5 == 0 else 0}.0.{number % 3}")
        else:
            _act(people, step, number)
        assert people.door.held <= limits.connections + limits.reserve
        assert not [number for number in people.cut if not (seat := people.seats[number]) or not _was_quiet(seat)]
    for seat in people.seats:
        if seat is not None:
            people.door.leave(seat)
    assert people.door.held == 0
    assert not people.door._accounts
    assert not people.door._quiet
    assert not people.door._quiet_guests


def _act(people: People, step: str, number: int) -> None:
    seats = [seat for index, seat in enumerate(people.seats) if seat is not None and index not in people.cut]
    if not seats:
        return
    seat = seats[number % len(seats)]
    if step in ("ask", "tell"):
        people.ask(seat, f"192.0.2.{number % 3}", known=step == "tell", essential=number % 2 == 0)
    elif step == "rest":
        people.door.rest(seat)
    else:
        people.door.leave(seat)


def _was_quiet(seat: Seat) -> bool:
    return not seat.quiet  # leaving, which comes before the cut, takes it out of the lines


def test_more_clients_leave_room_for_others() -> None:
    """However many clients are allowed, streams and long polls together leave some room."""
    for clients in (4000, 20_000):
        limits = limits_for(clients)
        assert limits.streams + limits.waits < limits.connections == clients


Hold = Callable[[Outside, str, str], Awaitable[Client]]


async def _hold(api: Outside, path: str, more: str = "") -> Client:
    """Open a connection, ask, and leave it open. An empty path sends half a head."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write((HEAD.format(path=path) + more + "\r\n").encode() if path else b"GET / HTTP/1.1\r\nX-Slow: ")
    return reader, writer


async def _code(client: Client) -> int:
    async with asyncio.timeout(10):
        return int((await client[0].readuntil(b" "))[-1:] and (await client[0].readexactly(3)))


async def _end(*clients: Client) -> None:
    for _, writer in clients:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for _, writer in clients), return_exceptions=True)


async def test_a_crowd_starves_no_kubelet(opened: Opener) -> None:
    """With every connection taken by streams and the reserve by slow headers, /livez, a scrape and a token get in."""
    service = StaticService(report("smtp"))
    limits = Limits(connections=6, reserve=3, streams=100)
    first = await opened(service, tokens=token_lines())
    api = await opened(service, settings=ApiSettings(token_file="tokens", files=first.files, limits=limits))
    streams = [await _hold(api, "/api/v1/stream") for _ in range(6)]
    assert [await _code(client) for client in streams] == [200] * 6
    slow = [await _hold(api, "") for _ in range(20)]
    for path in ("/livez", "/readyz", "/isalive/evs1/smtp", "/livez/evs1/smtp", "/metrics", "/livez"):
        client = await _hold(api, path, "Connection: close\r\n")
        assert await _code(client) == 200, path
        await _end(client)
    refused = await _hold(api, "/api/v1/status")
    assert await _code(refused) == 503
    assert b'"too_many_connections"' in await refused[0].read()  # to its end: the connection is closed
    token = f"Authorization: Bearer {TOKENS['viewer']}\r\nConnection: close\r\n"
    welcome = await _hold(api, "/api/v1/status", token)
    assert await _code(welcome) == 200
    await _end(*streams, *slow, refused, welcome)


async def test_slow_headers_make_room_for_requests(opened: Opener) -> None:
    """Where slow headers hold every connection, the oldest of them goes for whoever comes."""
    api = await opened(settings=ApiSettings(limits=Limits(connections=4, reserve=1)))
    slow = [await _hold(api, "") for _ in range(8)]
    client = await _hold(api, "/api/v1/status")
    assert await _code(client) == 200
    async with asyncio.timeout(5):
        assert await slow[0][0].read() == b""
    await _end(client, *slow)


async def test_an_address_has_its_share(opened: Opener) -> None:
    """The streams of one address are bounded; another address, and whoever shows a token, are served."""
    service = StaticService(report("smtp"))
    first = await opened(service, tokens=token_lines())
    limits = Limits(per_address=3)
    api = await opened(service, settings=ApiSettings(token_file="tokens", files=first.files, limits=limits))
    held = [await _hold(api, "/api/v1/stream") for _ in range(3)]
    assert [await _code(client) for client in held] == [200] * 3
    one_more = await _hold(api, "/api/v1/stream")
    assert await _code(one_more) == 429
    assert b'"too_many_of_address"' in await one_more[0].read()
    with_token = [await _hold(api, "/api/v1/stream", f"Authorization: Bearer {TOKENS['viewer']}\r\n") for _ in range(5)]
    assert [await _code(client) for client in with_token] == [200] * 5
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port, local_addr=("127.0.0.2", 0))
    writer.write((HEAD.format(path="/api/v1/status") + "\r\n").encode())
    assert await _code((reader, writer)) == 200
    await _end(*held, one_more, *with_token, (reader, writer))


async def test_only_a_trusted_proxy_speaks_for_others(opened: Opener) -> None:
    """X-Forwarded-For of a trusted proxy divides its streams among clients; anybody else's is not read."""
    networks = (ipaddress.ip_network("127.0.0.1/32"),)
    limits = Limits(per_address=2)
    proxied = await opened(settings=ApiSettings(limits=limits, trusted_proxies=networks))
    names = ["192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1"]
    held = [await _hold(proxied, "/api/v1/stream", f"X-Forwarded-For: {name}\r\n") for name in names]
    assert [await _code(client) for client in held] == [200, 200, 200, 429]
    direct = await opened(settings=ApiSettings(limits=limits))
    forged = [await _hold(direct, "/api/v1/stream", f"X-Forwarded-For: 192.0.2.{n}\r\n") for n in range(3)]
    assert [await _code(client) for client in forged] == [200, 200, 429]
    await _end(*held, *forged)


async def _write_on(writer: asyncio.StreamWriter, piece: bytes) -> None:
    async with asyncio.timeout(20):
        while True:
            writer.write(piece)
            await writer.drain()


@pytest.mark.parametrize("path", ["/openapi.json", "/isalive/evs1/smtp"])
async def test_whoever_reads_nothing_is_cut_off(opened: Opener, path: str) -> None:
    """Thousands of requests on one connection whose answers nobody reads end it, also where each answer is small."""
    api = await opened(settings=ApiSettings(limits=Limits(write_s=0.3)))
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port, limit=1024)
    asking = (HEAD.format(path=path) + "\r\n").encode() * 100
    with pytest.raises(ConnectionError):
        await _write_on(writer, asking)
    assert json.loads((await api.get("/livez"))[2]) == {"ok": True}
    await _end((reader, writer))
