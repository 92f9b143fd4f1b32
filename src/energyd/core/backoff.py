"""How long orders stop after refusals: until something changes, or a growing while has passed.

A refusal is an answer, so nothing was bought, and the same order would be refused again. What changes it: money on the
account, files that were read again, a changed configuration, or simply time. Each wait is as long as all that passed
since the first refusal, and a first wait more: it doubles, so that an address whose every order is refused makes a
handful of requests in its first hour and one an hour from then on. It goes by time and not by count, because one short
outage may refuse the orders of many addresses at once.
"""

from datetime import datetime, timedelta

from energyd.model import Guard, Reason, Refusals, Situation

LONGEST = timedelta(hours=1)
SHORTEST = timedelta(seconds=5)
FIRST_WAIT: dict[Reason, timedelta] = {
    Reason.UNRESOLVED_ORDER: timedelta(0),
    Reason.AUTH_FAILED: timedelta(minutes=5),
    Reason.NO_FUNDS: timedelta(minutes=5),
    Reason.RATE_LIMITED: timedelta(seconds=30),
    Reason.NETTS_UNAVAILABLE: timedelta(seconds=30),
}
_OTHERWISE = timedelta(minutes=1)


def again_at(refusals: Refusals) -> datetime:
    """The moment from which an order may be tried again; a wait that Netts asked for is the first one."""
    first = FIRST_WAIT.get(refusals.reason, _OTHERWISE)
    if refusals.retry_after is not None:
        first = max(refusals.retry_after, SHORTEST)
    grown = min(first + max(refusals.last_at - refusals.first_at, timedelta(0)), LONGEST)
    return refusals.last_at + max(grown, refusals.retry_after or timedelta(0))


def guard(refusals: Refusals | None, situation: Situation, cost_sun: int | None, whose: str) -> Guard:
    if refusals is None:
        return Guard(Reason.REFUSED, passed=True, figure=f"none of {whose} last orders")
    until = again_at(refusals)
    # A clock that was set back must not turn minutes of waiting into days.
    passed = not refusals.last_at <= situation.now < until or _funds_came(refusals, situation, cost_sun)
    failed = "were never placed" if refusals.reason is Reason.UNRESOLVED_ORDER else "were refused"
    times = "once" if refusals.count == 1 else f"{refusals.count} times in a row"
    return Guard(
        refusals.reason,
        passed,
        f"{whose} orders {failed} {times}, last at {refusals.last_at:%Y-%m-%d %H:%M:%S} UTC",
        f"next try at {until:%Y-%m-%d %H:%M:%S} UTC",
    )


def _funds_came(refusals: Refusals, situation: Situation, cost_sun: int | None) -> bool:
    """Whether the balance was read since and has risen enough for the order."""
    funds = situation.funds
    if refusals.reason is not Reason.NO_FUNDS or funds is None or funds.read_at <= refusals.last_at:
        return False
    return funds.balance_sun >= (cost_sun or 0) and funds.balance_sun > (refusals.balance_sun or 0)
