"""How long a large store takes: `python -m tests.bindings.measure [SERVERS]`.

Prints milliseconds, the best of three: reading it all, reading it again after one binding changed, comparing the two.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from bindings.diff import diff_stores
from bindings.parse import read_store

_Result = TypeVar("_Result")


def large_metabase(servers: int, *, rich: bool) -> bytes:
    """Write a metabase of many servers, with a binding each, or with six properties each."""
    keys: dict[str, object] = {"/": {"poll_interval_s": 10}, "/smtp": {"probe_timeout_s": 5}}
    for n in range(servers):
        own: dict[str, object] = {"bindings": [f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}:25"]}
        if rich:
            own |= {"comment": f"Virtual server {n} of a large store", "helo_name": f"probe{n}.example.org", "rise": 2}
            own["tls"] = {"server_name": f"mx{n}.example.org", "min_version": "1.3"}
        keys[f"/smtp/{n}"] = own
    return json.dumps({"schema_version": 1, "revision": 1, "keys": keys}).encode()


def timed(what: str, act: Callable[[], _Result]) -> _Result:
    """Do something three times and print the best time."""
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        result = act()
        best = min(best, time.perf_counter() - start)
    sys.stdout.write(f"  {what:32} {best * 1000:8.0f} ms\n")
    return result


def main(servers: int) -> None:
    """Measure both kinds of store."""
    for rich in (False, True):
        text = large_metabase(servers, rich=rich)
        edited = text.replace(b'"10.0.0.7:25"', b'"10.0.0.7:26"')
        sys.stdout.write(f"{servers} servers, {'six properties' if rich else 'a binding'} each, {len(text):,} bytes\n")
        before = timed("read", lambda text=text: read_store(text, None))  # type: ignore[misc] # binds the loop's value
        after = timed("read again, one binding changed", lambda b=before, e=edited: read_store(e, None, b))  # type: ignore[misc] # likewise
        diff = timed("compare", lambda b=before, a=after: diff_stores(b.store, a.store))  # type: ignore[misc] # likewise
        assert [change.id for change in diff.changed] == [("default", "smtp-7")]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
