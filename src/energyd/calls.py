"""The calls of every address: those of the policies, those that people add, those that applications wait for.

Which step a call takes is decided in core/calls.py. Here its steps are found out, written down and told: a call of a
policy is written down when its time comes near, a node is asked what it uses, and who waits for it is woken.
"""

import asyncio
import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import fields, replace
from datetime import datetime, timedelta
from random import Random
from typing import Protocol

from energyd.core import calendar, calls as life
from energyd.errors import Conflict, NotPossible
from energyd.ledger.ledger import Ledger
from energyd.model import (
    AHEAD,
    RUNNING,
    Call,
    CallOrigin,
    CallState,
    ContractCall,
    Decision,
    Estimate,
    NoEstimate,
    OrderLimits,
    Prices,
    Reading,
    Reason,
)
from energyd.policy import PlannedCall, Policy
from energyd.telemetry import Log, LogEvent

WRITTEN_AHEAD = timedelta(minutes=30)
"""How long before its energy must be there a call of a policy is written down."""
WAITED_FOR_EVERY = timedelta(seconds=3)
"""How often an address is looked at while a call waits for its energy; a block comes every three seconds."""
KEPT_EVERY = timedelta(seconds=15)
"""And while it is kept for it."""

NO_MORE = "its policy has it no more"
"""Why a call was cancelled that nobody cancelled; it is taken up again when its policy has it again."""
NOTHING_HELPS = (
    Reason.DRY_RUN,
    Reason.OBSERVE,
    Reason.PAUSED,
    Reason.NOT_ACTIVATED,
    Reason.PRICE_TOO_HIGH,
    Reason.DEARER_THAN_BURNING,
    Reason.BUDGET_PER_ORDER,
    Reason.BUDGET_PER_HOUR,
    Reason.BUDGET_PER_DAY,
    Reason.NO_FUNDS,
    Reason.AUTH_FAILED,
    Reason.LEDGER_LOST,
)
"""Reasons to hold that will not have passed when an application would still be waiting."""
_MAY_PASS = (Reason.NODE_UNREACHABLE, Reason.READING_STALE)


class Estimator(Protocol):
    """What is asked of the chain."""

    async def estimate(self, call: ContractCall) -> Estimate | NoEstimate: ...


class Calls:
    """Sees to the calls. `hurry` has an address looked at now, `policies` are those of each address."""

    def __init__(
        self,
        *,
        estimator: Estimator,
        ledger: Ledger,
        log: Log,
        now: Callable[[], datetime],
        rng: Random,
        limits: OrderLimits,
        policies: Callable[[], Mapping[str, Policy]],
        prices: Callable[[], Prices],
    ) -> None:
        self._estimator, self._ledger, self._log, self._now, self._rng = estimator, ledger, log, now, rng
        self._limits, self._policies, self._prices = limits, policies, prices
        self._estimating: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self.hurry: Callable[[Iterable[str]], None] = lambda _addresses: None

    def adopt(self, limits: OrderLimits) -> None:
        self._limits = limits

    async def close(self) -> None:
        """Break off the questions to the node that are under way."""
        under_way = list(self._estimating.values())
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    # --- in a tick ----------------------------------------------------------------------------------------------------

    async def attend(
        self, policy: Policy | None, address: str, reading: Reading | None, last: Decision | None
    ) -> list[Call]:
        """Bring the calls of an address up to date and return them. `last` is the last decision about it."""
        ahead = await self._written(policy, address)
        if not ahead:
            return []
        for call in ahead:
            self._see_to_estimate(call)
        now = self._now()
        rentals = (await self._ledger.memory(address, policy.name if policy else "", now)).rentals
        moved = life.progress(ahead, reading, rentals, now, self._limits)
        return [await self._step(before, after, last) for before, after in zip(ahead, moved, strict=True)]

    async def _step(self, before: Call, after: Call, last: Decision | None) -> Call:
        if after == before:
            return before
        if after.state is CallState.MISSED and before.state is not CallState.MISSED:
            after = _given_up(after, "" if last is None else _said(last))
        return await self._move(before, after)

    async def decided(self, decision: Decision) -> None:
        """End what an application waits for in vain."""
        if decision.reason not in NOTHING_HELPS:
            return
        for call in await self._ledger.calls(address=decision.address, states=RUNNING):
            if call.origin is CallOrigin.ENSURE and call.covered_at is None:
                await self._move(call, replace(call, state=CallState.OVER, detail=_said(decision)))

    def next_look(self, policy: Policy | None, calls: Iterable[Call]) -> datetime | None:
        """When the calls want their address to be looked at next, at the latest."""
        now, soonest = self._now(), []
        for rule in policy.planned_calls if policy else ():
            ahead = rule.lead + WRITTEN_AHEAD
            moment = calendar.next_call_time(rule, now + ahead)
            soonest += [] if moment is None else [moment - ahead]
        for call in calls:
            if call.state is CallState.PLANNED:
                due = life.due_at(call, self._limits)
                soonest.append(due if now >= due - life.ESTIMATED_AHEAD else due - life.ESTIMATED_AHEAD)
            elif call.state is CallState.DUE:
                soonest.append(min(now + WAITED_FOR_EVERY, life.missed_at(call)))
            elif call.state in RUNNING:
                soonest.append(min(now + KEPT_EVERY, call.until))
        return min((max(moment, now) for moment in soonest), default=None)

    async def _written(self, policy: Policy | None, address: str) -> tuple[Call, ...]:
        """The calls ahead. Those of the policy that come near are written down, those that it has no more are ended."""
        known = await self._ledger.calls(address=address, states=AHEAD)
        due = {} if policy is None else {call.call_id: call for call in self._near(policy, address)}
        known_ids = {call.call_id for call in known}
        ahead = []
        for call in (call for call_id, call in due.items() if call_id not in known_ids):
            stands = await self._ledger.add_call(call)
            if stands.state is CallState.CANCELLED and stands.detail == NO_MORE:
                stands = await self._move(stands, replace(call, used=stands.used))
            ahead += [stands] if stands.state in AHEAD else []
        for call in known:
            wanted = due.get(call.call_id)
            is_as_wanted = wanted is not None and _asks(wanted) == _asks(call)
            if is_as_wanted or call.origin is not CallOrigin.POLICY or call.until <= self._now():
                ahead.append(call)
            elif wanted is not None:
                again = replace(wanted, used=call.used, seen_used=call.seen_used, seen_limit=call.seen_limit)
                ahead.append(await self._move(call, again))
            else:
                await self._move(call, replace(call, state=CallState.CANCELLED, detail=NO_MORE))
        return tuple(sorted(ahead, key=lambda call: (call.needed_by, call.added_at or call.at, call.call_id)))

    def _near(self, policy: Policy, address: str) -> list[Call]:
        now = self._now()
        return [
            self.of_policy(policy, address, rule, at)
            for rule in policy.planned_calls
            for at in calendar.call_times(rule, now - rule.hold, now + rule.lead + WRITTEN_AHEAD)
        ]

    def of_policy(self, policy: Policy, address: str, rule: PlannedCall, at: datetime) -> Call:
        """A call of a policy, as it is before anything is known of it."""
        return of_policy(policy, address, rule, at, now=self._now())

    # --- what people and applications ask -----------------------------------------------------------------------------

    async def ensure(
        self,
        address: str,
        *,
        energy: int | None = None,
        what: ContractCall | None = None,
        by: datetime | None = None,
        within: timedelta,
        keep: timedelta,
        key: str | None = None,
        name: str = "ensure",
    ) -> Call:
        """Ask for energy, now or by a moment. The same key is the same request.

        Returns at once; `ended` waits for what becomes of it. Raises NotPossible.
        """
        now = self._now()
        asked = Call(
            call_id=self._new_id() if key is None else _id(address, key),
            name=name,
            address=address,
            policy=self._policy_of(address).name,
            origin=CallOrigin.ENSURE,
            at=by or now + within,
            needed_by=by or now,
            lead=timedelta(0),
            hold=keep,
            energy=energy,
            what=what,
            added_at=now,
        )
        stands = await self._ledger.add_call(asked)
        if (stands.address, stands.what) != (address, what) or (what is None and stands.energy != energy):
            raise NotPossible(f"the key {key!r} stands for another request; use another key")
        if stands.state in (CallState.OVER, CallState.CANCELLED) and stands.covered_at is None:
            again = replace(asked, detail="", energy=asked.energy, added_at=stands.added_at, version=stands.version)
            stands = await self._ledger.change_call(stands, **_differences(stands, again))
        self._tell_change(address)
        return stands

    async def add(
        self,
        address: str,
        *,
        at: datetime,
        lead: timedelta,
        hold: timedelta,
        energy: int | None = None,
        what: ContractCall | None = None,
        name: str = "call",
    ) -> Call:
        """Plan a call at run time. Raises NotPossible."""
        now = self._now()
        if at + hold <= now:
            raise NotPossible("the call is over already; give a time that is to come")
        call = Call(
            call_id=self._new_id(),
            name=name,
            address=address,
            policy=self._policy_of(address).name,
            origin=CallOrigin.RUNTIME,
            at=at,
            needed_by=life.needed_by(at, lead, now),
            lead=lead,
            hold=hold,
            energy=energy,
            what=what,
            added_at=now,
        )
        await self._ledger.add_call(call)
        self._tell_change(address)
        return call

    async def cancel(self, call_id: str) -> Call:
        """End a call, also one of a policy, this one time. What was rented for it stays rented. Raises NotPossible."""
        call = await self._ledger.call(call_id)
        if call is None:
            raise NotPossible(f"there is no call {call_id!r}; `energyd calls list` shows them")
        if call.state not in AHEAD:
            raise NotPossible(f"call {call.call_id} is {call.state} already")
        cancelled = await self._move(call, replace(call, state=CallState.CANCELLED, detail="cancelled by a person"))
        self._tell_change(call.address)
        return cancelled

    async def ended(self, call_id: str) -> Call:
        """Wait until a call is covered, or never will be."""
        while True:
            changed = self._changed
            call = await self._ledger.call(call_id)
            assert call is not None
            if call.covered_at is not None or call.state not in AHEAD:
                return call
            await changed.wait()

    def _policy_of(self, address: str) -> Policy:
        policy = self._policies().get(address)
        if policy is None:
            raise NotPossible(f"no policy watches {address}; add it to the addresses of one")
        return policy

    def _new_id(self) -> str:
        return f"{self._rng.getrandbits(48):012x}"

    # --- steps --------------------------------------------------------------------------------------------------------

    async def _move(self, before: Call, after: Call) -> Call:
        try:
            moved = await self._ledger.change_call(before, **_differences(before, after))
        except Conflict:
            return before  # somebody cancelled it meanwhile; the next tick reads what is written
        self._tell(before, moved)
        if moved.state is not before.state:
            self._tell_change(None)
        return moved

    def _tell_change(self, address: str | None) -> None:
        """Wake who waits for a call, and have an address looked at now."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        if address is not None:
            self.hurry([address])

    def _tell(self, before: Call, call: Call) -> None:
        if before.state is CallState.PLANNED and call.state in RUNNING:
            self._log.call(LogEvent.CALL_DUE, call, self._prices().burn_sun)
        if call.covered_at is not None and before.covered_at is None:
            self._log.call(LogEvent.CALL_COVERED, call)
        elif (call.state is CallState.MISSED and before.state is not CallState.MISSED) or (
            call.state is CallState.OVER and call.origin is CallOrigin.ENSURE and call.covered_at is None
        ):
            self._log.call(LogEvent.CALL_MISSED, call)

    # --- estimates ----------------------------------------------------------------------------------------------------

    def _see_to_estimate(self, call: Call) -> None:
        if call.call_id not in self._estimating and life.is_to_be_estimated(call, self._now(), self._limits):
            task = asyncio.get_running_loop().create_task(self._estimate(call), name=f"estimate {call.call_id}")
            self._estimating[call.call_id] = task

    async def _estimate(self, call: Call) -> None:
        assert call.what is not None
        try:
            found = await self._estimator.estimate(call.what)
            newest = await self._ledger.call(call.call_id)
            if newest is None or newest.state not in AHEAD:
                return
            after = life.estimated(newest, found)
            if isinstance(found, NoEstimate) and found.reason not in _MAY_PASS and call.origin is CallOrigin.ENSURE:
                after = replace(after, state=CallState.OVER)
            if after != newest:
                await self._move(newest, after)
        finally:
            del self._estimating[call.call_id]
        if after.energy != call.energy:
            self.hurry([call.address])


def of_policy(policy: Policy, address: str, rule: PlannedCall, at: datetime, *, now: datetime) -> Call:
    """A call of a policy, as it is before anything is known of it."""
    call_id = _id(policy.name, rule.name, address, at)
    return life.of_rule(rule, policy=policy.name, address=address, at=at, call_id=call_id, now=now)


def coming(policies: Iterable[Policy], written: Collection[str], now: datetime) -> list[Call]:
    """The next call of each rule and address whose id is not among those that are `written` down."""
    found = []
    for policy in policies:
        for rule in policy.planned_calls:
            for address in policy.watched():
                moment = calendar.next_call_time(rule, now)
                while moment and (call := of_policy(policy, address, rule, moment, now=now)).call_id in written:
                    moment = calendar.next_call_time(rule, moment)
                found += [call] if moment else []
    return found


def _given_up(call: Call, why: str) -> Call:
    """A call that was missed, with the reason; an application does not wait any longer."""
    state = CallState.OVER if call.origin is CallOrigin.ENSURE else call.state
    return replace(call, state=state, detail=call.detail or why)


def _said(decision: Decision) -> str:
    return f"{decision.reason}: {decision.detail}" if decision.detail else str(decision.reason)


def _asks(call: Call) -> tuple[object, ...]:
    """What is asked for, apart from what has become of it."""
    fixed = call.energy if call.what is None else None
    return (call.name, call.at, call.lead, call.hold, call.what, call.margin, call.fallback, fixed)


def _differences(before: Call, after: Call) -> dict[str, object]:
    names = [each.name for each in fields(Call) if each.name != "version"]
    return {name: getattr(after, name) for name in names if getattr(after, name) != getattr(before, name)}


def _id(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
