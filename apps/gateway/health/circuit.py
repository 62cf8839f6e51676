"""How one credential fares with one model, as one process knows it: closed, open for a while, or waiting for a probe. Pure.

Times are seconds of a clock that only goes forward.
"""

from apps.providers.health.shared import ABANDONED, Reason

_IN_A_ROW = 3  # failures, and
_SHARE = 0.5  # at least so much of what has come lately
_LATELY = 10  # outcomes
_FORGOTTEN = 60.0  # seconds without any outcome after which earlier ones say nothing
COOL = 10.0  # seconds: the first time, where no setting says otherwise; doubled each time, up to
_COOL_TIMES = 6  # so often that; and at once for what the provider refuses
_COOL_LIMITED = (1.0, 30.0)  # where the provider does not say how long
COOL_MOST = 60.0  # however long a provider asks to be left alone
_PROBE_MOST = 700.0  # seconds after which a probe that nobody has told the end of is one no more
_SLACK = 0.5  # seconds by which clocks may differ


class Circuit:
    """The state of one route. `until` 0: closed. A circuit that is open or waits for its probe is asked last.

    What a provider limits is asked again as soon as the time is over that it named; what failed or refused is first asked by one
    probe alone, which needs `permit`: the right to send it, which one process at a time has.
    """

    __slots__ = (
        "_cool",
        "_cooldown",
        "_heard_at",
        "_in_a_row",
        "_limits",
        "_outcomes",
        "_probed_at",
        "_share",
        "code",
        "permit",
        "reason",
        "since",
        "until",
        "version",
        "wanted",
    )

    def __init__(self, version: int = 0, cool: float = COOL) -> None:
        """`version`: of the credential whose fault or merit it is. `cool`: seconds of its first cooldown."""
        self.version, self._cool = version, cool
        self.until = 0.0
        self.since = 0.0  # when it has opened or closed, or this process has heard of that
        self.reason: Reason = "failing"
        self.code = ""  # of the error that has opened it
        self.permit = False
        self.wanted = False  # a call would have been its probe
        self._in_a_row = 0
        self._share = 0.0
        self._outcomes = 0
        self._heard_at = 0.0
        self._limits = 0
        self._cooldown = 0.0
        self._probed_at = 0.0

    # --- What it is like ---

    @property
    def is_closed(self) -> bool:
        """Nothing is held against it."""
        return not self.until

    def waits(self, now: float) -> bool:
        """Whether its cooldown is over, and a probe is to find out."""
        return bool(self.until) and self.until <= now < self.until + ABANDONED and self.reason != "limited"

    def is_last(self, now: float) -> bool:
        """Whether it is asked after those that are well."""
        self._expire(now)
        if not self.until:
            return False
        return now < self.until or not self.permit or self.is_probed(now)

    def is_probed(self, now: float) -> bool:
        """Whether a probe of this process is under way."""
        return bool(self._probed_at) and now < self._probed_at + _PROBE_MOST

    @property
    def cooldown(self) -> float:
        """Seconds that it was opened for last."""
        return self._cooldown

    def is_over(self, now: float) -> bool:
        """Whether nothing of it need be kept."""
        self._expire(now)
        return not self.until and now > self._heard_at + _FORGOTTEN

    # --- What becomes of calls ---

    def begins(self, now: float) -> bool:
        """A call goes there. Whether it is the probe."""
        if self.permit and self.waits(now) and not self.is_probed(now):
            self._probed_at = now
            return True
        return False

    def failed(self, now: float, began: float, code: str, *, probe: bool) -> bool:
        """A call that began at that time failed; whether that opens it, again or anew.

        Calls that began before it changed, or before its cooldown was over, say nothing that is not known.
        """
        self._expire(now)
        if began < max(self.since, self.until):
            return False
        self._hear(now, failed=True)
        if self.until:
            if self.permit and not probe:
                return False  # nothing else was left for it: the probe decides
            cooldown = min(max(2 * self._cooldown, self._cool), _COOL_TIMES * self._cool)
            return self._open(now, cooldown, "failing", code)
        if self._in_a_row >= _IN_A_ROW and self._share >= _SHARE:
            return self._open(now, self._cool, "failing", code)
        return False

    def limited(self, now: float, after: float | None, code: str) -> bool:
        """The provider takes no more for now. `after`: seconds that it asks for; None: it does not say. Whether that opens it."""
        self._heard_at = now
        if after is None:
            after = min(_COOL_LIMITED[0] * 2.0**self._limits, _COOL_LIMITED[1])
            self._limits = min(self._limits + 1, 10)
        until = now + min(after, COOL_MOST)
        if until <= self.until:
            return False
        if self.until > now and self.reason != "limited":
            return False  # it fails as well, which counts for more
        return self._open(now, until - now, "limited", code)

    def refused(self, now: float, code: str) -> bool:
        """The provider refuses the credential. Whether that opens it, again or anew."""
        self._heard_at = now
        if now < self.until and self.reason == "refused":
            return False
        return self._open(now, _COOL_TIMES * self._cool, "refused", code)

    def succeeded(self, now: float, began: float) -> bool:
        """A call that began at that time was answered; whether that closes it.

        Calls that began before it opened say nothing of what came after.
        """
        self._hear(now, failed=False)
        self._limits = 0
        if not self.until or began < self.since:
            return False
        self._close(now)
        return True

    def released(self) -> None:
        """The probe has ended, and nobody knows how it would have: another call may be the probe."""
        self._probed_at = 0.0

    # --- What others say ---

    def learn(self, now: float, until: float, cooldown: float, reason: Reason, code: str) -> None:
        """Another process has opened it."""
        if until > self.until + _SLACK:
            self._open(now, cooldown, reason, code)
            self.until = until
            self._heard_at = now

    def forget(self, now: float) -> None:
        """Another process has found that it is well."""
        self._close(now)

    # --- Within ---

    def _hear(self, now: float, *, failed: bool) -> None:
        if now > self._heard_at + _FORGOTTEN:
            self._in_a_row = self._outcomes = 0
            self._share = 0.0
        self._heard_at = now
        self._outcomes = min(self._outcomes + 1, _LATELY)
        self._share += (failed - self._share) / self._outcomes
        self._in_a_row = self._in_a_row + 1 if failed else 0

    def _expire(self, now: float) -> None:
        """Close it where time alone does."""
        if self.until and now >= self.until + (0.0 if self.reason == "limited" else ABANDONED):
            self._close(self.until)

    def _open(self, now: float, cooldown: float, reason: Reason, code: str) -> bool:
        self.since, self.until, self._cooldown = now, now + cooldown, cooldown
        self.reason, self.code = reason, code
        self.permit = self.wanted = False
        self._probed_at = 0.0
        return True

    def _close(self, now: float) -> None:
        self.since = now
        self.until = self._cooldown = 0.0
        self.permit = self.wanted = False
        self._probed_at = 0.0
        self._in_a_row = self._outcomes = 0
        self._share = 0.0
