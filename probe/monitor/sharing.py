"""What many resources were answered alike is kept once: a thousand mail servers say the same."""

from __future__ import annotations

from probe.values import Verdict

KEPT_MAX = 1024  # of each kind; beyond that they are forgotten, which costs memory and nothing else


class Shared:
    """Hands out the first one of equal values."""

    __slots__ = ("_answers", "_verdicts")

    def __init__(self) -> None:
        self._answers: dict[bytes, bytes] = {}
        self._verdicts: dict[str, Verdict] = {}  # by evidence: the members of an enum take long to hash

    def __repr__(self) -> str:
        return f"<Shared {len(self._answers)} answers, {len(self._verdicts)} verdicts>"

    def answer(self, data: bytes) -> bytes:
        """Return bytes that are equal."""
        if len(self._answers) >= KEPT_MAX:
            self._answers.clear()
        return self._answers.setdefault(data, data)

    def verdict(self, verdict: Verdict) -> Verdict:
        """Return a verdict that is equal."""
        kept = self._verdicts.get(verdict.evidence)
        if kept == verdict:
            return kept
        if len(self._verdicts) >= KEPT_MAX:
            self._verdicts.clear()
        self._verdicts[verdict.evidence] = verdict
        return verdict
