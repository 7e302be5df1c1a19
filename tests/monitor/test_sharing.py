"""Equal answers and verdicts are kept once, others apart."""

from __future__ import annotations

from probe.monitor.sharing import KEPT_MAX, Shared
from probe.values import Reason, Stage, Verdict
from tests.monitor.sky import Sky, fly


def matched(evidence: str, stage: Stage = Stage.BANNER) -> Verdict:
    """Make one anew, its text too."""
    return Verdict(Reason.MATCHED, "".join([*evidence]), stage)


def test_equal_ones_are_one() -> None:
    """What comes back is equal to what was handed in, and the same as before where that was equal too."""
    shared = Shared()
    first = matched("220 a")
    assert shared.verdict(first) is first
    assert shared.verdict(matched("220 a")) is first
    other = matched("220 a", Stage.RESPONSE)
    assert shared.verdict(other) is other
    failed = Verdict(Reason.REFUSED_BY_SERVER, "220 a", Stage.BANNER)
    assert shared.verdict(failed) is failed
    data = bytes([50, 50, 48])
    assert shared.answer(data) is data
    assert shared.answer(bytes([50, 50, 48])) is data
    assert repr(shared) == "<Shared 1 answers, 1 verdicts>"


def test_their_number_is_bounded() -> None:
    """A peer that never says the same twice fills nothing."""
    shared = Shared()
    for number in range(3 * KEPT_MAX):
        assert shared.verdict(matched(f"220 {number}")).evidence == f"220 {number}"
        assert shared.answer(b"%d" % number) == b"%d" % number
    answers, verdicts = (int(word) for word in repr(shared).split() if word.isdigit())
    assert 0 < answers <= KEPT_MAX
    assert 0 < verdicts <= KEPT_MAX


def test_watches_of_one_server_share() -> None:
    """Two bindings that greet alike hold one greeting and one verdict; a third that differs has its own."""

    async def body(sky: Sky) -> None:
        sky.machine.serve("smtp", ("127.0.0.1", 25))
        sky.machine.serve("http", ("127.0.0.1", 80))
        one, two = await sky.calm(sky.plan()), await sky.calm(sky.plan(name="two"))
        other = await sky.calm(sky.plan("http", name="other"))
        assert one.verdict is two.verdict
        await sky.again(one, two, other)
        assert one.verdict is two.verdict
        assert one.known is two.known
        assert other.verdict != one.verdict
        assert other.known != one.known

    fly(body)
