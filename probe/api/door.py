"""Who may hold a connection: so many in all, so many an address, and a reserve for those who must always get in.

1. A connection is quiet (no whole request yet, or between two of them) or busy. Only a quiet one is ever sent away.
2. While there is room in all and for its address, a newcomer is a member. Where there is none, the member that has been
   quiet for longest makes room: one of the same address when that has too many, else one of all.
3. Where every member is busy, the newcomer is a guest, of whom there are a few. A guest is served what essential routes
   answer, or when it shows who it is; anything else is refused and its connection ended. It becomes a member when it
   asks and there is room again. The guest that has been quiet for longest makes room for the next.
4. Who showed a token or a verified certificate is not counted for its address any more.
5. What a trusted proxy holds open counts for nobody's address; what it is asked to pass on counts for whom it names.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable, Iterable

from probe.api.limits import Limits

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def account_of(address: str) -> str:
    """Name the account that an address counts for: itself, of IPv6 its /64, since whoever has one address has them."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.IPv6Network((ip, 64), strict=False))
    return str(ip)


class Proxies:
    """The addresses whose word about whom they speak for is believed; nobody else's is."""

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        self._networks = tuple(networks)

    def trusts(self, address: str) -> bool:
        """Tell whether a connection from there may name another client."""
        if not self._networks:
            return False
        try:
            ip: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(ip, "ipv4_mapped", None)
        ip = mapped if mapped is not None else ip
        return any(ip in network for network in self._networks)


class Seat:
    """One connection, as the door knows it."""

    __slots__ = ("account", "cut", "guest", "known", "proxied", "quiet")

    def __init__(self, account: str | None, cut: Callable[[], None], *, proxied: bool) -> None:
        self.account = account  # None: counts for no address
        self.cut = cut
        self.proxied = proxied
        self.known = False
        self.quiet = True
        self.guest = False

    def __repr__(self) -> str:
        standing = "guest" if self.guest else "member"
        return f"<Seat {self.account or 'of no address'}: {'quiet' if self.quiet else 'busy'} {standing}>"


Line = OrderedDict[Seat, None]  # the first has been quiet for longest


class _Account:
    __slots__ = ("count", "quiet")

    def __init__(self) -> None:
        self.count = 0
        self.quiet: Line = OrderedDict()


class Door:
    """The rules above. Every method costs the same, however many connections there are."""

    def __init__(self, limits: Limits, proxies: Proxies | None = None) -> None:
        self._limits = limits
        self.proxies = proxies or Proxies()
        self._members: set[Seat] = set()
        self._guests: set[Seat] = set()
        self._quiet: Line = OrderedDict()
        self._quiet_guests: Line = OrderedDict()
        self._accounts: dict[str, _Account] = {}
        self.sent_away = 0  # quiet ones that had to make room, and newcomers for whom there was none

    def __repr__(self) -> str:
        return f"<Door {len(self._members)} members ({len(self._quiet)} quiet), {len(self._guests)} guests>"

    @property
    def held(self) -> int:
        """How many connections there are."""
        return len(self._members) + len(self._guests)

    def admit(self, address: str, cut: Callable[[], None]) -> Seat | None:
        """Take a newcomer; `cut` ends its connection at once. None: there is no room whatever it wants."""
        proxied = self.proxies.trusts(address)
        seat = Seat(None if proxied else account_of(address), cut, proxied=proxied)
        if self._join(seat):
            return seat
        if len(self._guests) >= self._limits.reserve and not self._send_away(self._quiet_guests):
            self.sent_away += 1
            return None
        seat.guest = True
        self._guests.add(seat)
        self._quiet_guests[seat] = None
        return seat

    def begin(self, seat: Seat, client: str, *, known: bool, essential: bool) -> str:
        """Take a request: the seat is busy. Returns why not, a code, or nothing. `client` matters behind a proxy."""
        if seat not in self._members and seat not in self._guests:
            return ""  # it was cut while its request waited
        self._set_quiet(seat, False)
        if seat.proxied:
            self._uncount(seat)
        elif known and not seat.known:
            self._uncount(seat)
            seat.known = True
        if seat.guest and self._join(seat):
            self._guests.discard(seat)
        if seat.proxied and not known:
            self._count_for(seat, account_of(client))
        if known or seat.known or essential:
            return ""
        if self._is_over(seat):
            return "too_many_of_address"
        return "too_many_connections" if seat.guest else ""

    def rest(self, seat: Seat) -> None:
        """Take note that a request was answered."""
        if seat not in self._members and seat not in self._guests:
            return
        if seat.proxied:
            self._uncount(seat)
        self._set_quiet(seat, True)

    def leave(self, seat: Seat) -> None:
        """Take note that a connection has ended; saying so twice is saying it once."""
        if seat not in self._members and seat not in self._guests:
            return
        self._set_quiet(seat, False)
        self._uncount(seat)
        self._members.discard(seat)
        self._guests.discard(seat)

    def _join(self, seat: Seat) -> bool:
        """Make a seat a member, if need be in the place of a quiet one."""
        account = None if seat.account is None or seat.known else self._accounts.get(seat.account)
        if account is not None and account.count >= self._limits.per_address:
            room = self._send_away(account.quiet)
        else:
            room = len(self._members) < self._limits.connections or self._send_away(self._quiet)
        if room:
            seat.guest = False
            self._members.add(seat)
            if seat.account is not None and not seat.known:
                self._accounts.setdefault(seat.account, _Account()).count += 1
            self._set_quiet(seat, seat.quiet)
        return room

    def _send_away(self, line: Line) -> bool:
        seat = next(iter(line), None)
        if seat is None:
            return False
        self.sent_away += 1
        self.leave(seat)
        seat.cut()
        return True

    def _set_quiet(self, seat: Seat, quiet: bool) -> None:
        seat.quiet = quiet
        lines = [self._quiet_guests] if seat.guest else [self._quiet]
        account = None if seat.guest or seat.known else self._accounts.get(seat.account or "")
        if account is not None and not seat.proxied:
            lines.append(account.quiet)
        for line in lines:
            if quiet:
                line[seat] = None
            else:
                line.pop(seat, None)

    def _count_for(self, seat: Seat, account: str) -> None:
        """Count what a proxy passes on for whom it names."""
        seat.account = account
        self._accounts.setdefault(account, _Account()).count += 1

    def _uncount(self, seat: Seat) -> None:
        """Let the address have its place again, where the seat took one."""
        if seat.account is None or seat.known or (seat.guest and not seat.proxied):
            return
        account = self._accounts[seat.account]
        account.quiet.pop(seat, None)
        account.count -= 1
        if not account.count:
            del self._accounts[seat.account]
        if seat.proxied:
            seat.account = None

    def _is_over(self, seat: Seat) -> bool:
        """Whether its address has too many: where that is full, it is why a guest is one."""
        account = self._accounts.get(seat.account or "")
        most = self._limits.per_address
        return account is not None and (account.count > most or (seat.guest and account.count == most))
