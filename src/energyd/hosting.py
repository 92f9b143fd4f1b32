"""Host Mode in the tick: cycles are counted for all addresses at once, and topped up for each.

What is wanted and whether it may be bought stands in core/cycles.py. Here is when the cycles are counted, which count
may be believed, and what is done about it. One answer of Netts tells of all addresses and few may be asked for in a
minute, so a reading is shared; it is made beside the ticks, which never wait for it.

Nobody knows for certain under which key the count stands (netts-api 6.4). The first key that is seen is trusted;
another one, or one under which an order did not show, is doubted until a person confirms it, and what is doubted is
unknown.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Protocol

from energyd.core.cycles import decide_by_hand, decide_cycles
from energyd.errors import Conflict, LedgerError, NettsUnavailable, NotPossible, OverBudget
from energyd.known import Known
from energyd.ledger.ledger import Ledger
from energyd.model import (
    UNSETTLED,
    Action,
    Count,
    Cycles,
    CyclesKnown,
    Decision,
    HostAct,
    HostActed,
    NoReading,
    Order,
    OrderKind,
    OrderState,
    Outcome,
    Reading,
    Reason,
    Refused,
    Situation,
    Unclear,
)
from energyd.orders import Buyer, Orders, Seen
from energyd.policy import Policy
from energyd.telemetry import Log, LogEvent

SOON = timedelta(seconds=20)
"""How often cycles are counted while an order of them is open; four readings a minute are free."""
UNKNOWN_EVERY = timedelta(minutes=1)
"""And while they are not known."""
SHARED_WITHIN = timedelta(seconds=30)
"""A reading serves the addresses that would ask for one within this time, too."""
POLLED_EVERY = timedelta(seconds=3)
"""How soon an address looks again that waits for a reading."""
DELEGATES_WITHIN = timedelta(minutes=2)
"""How long an address that runs low is left to Host Mode before energy is rented for it, too."""
UNCOUNTED_FOR = timedelta(minutes=30)
"""How long cycles may be unknown before a person is told."""
PRICE_FRESH_FOR = timedelta(seconds=15)

LookAt = Callable[[Policy, str, Reading | NoReading, OrderKind], Awaitable[Situation]]


class Counter(Protocol):
    """What is asked of Netts."""

    async def cycles_of(self, addresses: Collection[str]) -> Mapping[str, Cycles]: ...

    async def act(self, act: HostAct, address: str, *, energy: int | None = None) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class Looked:
    """One reading of the cycles of all addresses.

    `began` is a moment of the event loop's clock, `mark` the newest event of any order then.
    """

    began: float
    mark: int
    cycles: Mapping[str, Cycles]


class Hosting:
    """Sees to the cycles. `hurry` has addresses looked at now; `heard` is told how each reading went."""

    def __init__(
        self,
        *,
        counter: Counter,
        buyer: Buyer | None,
        known: Known,
        orders: Orders,
        ledger: Ledger,
        log: Log,
        now: Callable[[], datetime],
        rng: Random,
        host: str,
        policies: Callable[[], Mapping[str, Policy]],
        situation: LookAt,
        note: Callable[[Decision], None],
        write_down: Callable[[], Awaitable[object]],
        is_still_wanted: Callable[[Policy, str], None],
    ) -> None:
        self._counter, self._buyer, self._known, self._orders = counter, buyer, known, orders
        self._ledger, self._log, self._now, self._rng, self._host = ledger, log, now, rng, host
        self._policies, self._situation, self._note, self._write_down = policies, situation, note, write_down
        self._is_still_wanted = is_still_wanted
        self._reading: asyncio.Task[None] | None = None
        self._looked: Looked | None = None
        self._decided_on: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._asked: dict[str, float] = {}
        self._open: set[str] = set()
        self._noted: dict[str, tuple[int, str]] = {}
        self._last_known: dict[str, Cycles] = {}
        self._unknown_since: dict[str, float] = {}
        self._low_since: dict[str, datetime] = {}
        self.latest: dict[str, Decision] = {}
        self.hurry: Callable[[Iterable[str]], None] = lambda _addresses: None
        self.heard: Callable[[NettsUnavailable | None], None] = lambda _error: None

    def adopt(self) -> None:
        """The policies have changed: what is hosted is counted anew."""
        hosted = self._hosted()
        self.latest = {address: decision for address, decision in self.latest.items() if address in hosted}
        self._due.clear()
        self._asked.clear()

    async def close(self) -> None:
        """Break off the reading that is under way."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    # --- look ---------------------------------------------------------------------------------------------------------

    async def count(self, policy: Policy | None, address: str, seen: Seen) -> Seen:
        """The look, with the cycles as they were counted since something last happened to an order of them.

        Begins a reading when one is due. One that is under way, or older than such an event, is not waited for.
        """
        is_hosted = policy is not None and policy.host_mode is not None
        if not is_hosted and address not in self._open:
            return seen
        looked, seen = self._looked, replace(seen, is_hosted=is_hosted)
        tells = looked is not None and address in looked.cycles
        if looked is None or not tells or looked.mark < await self._ledger.cycles_mark(address):
            self._begin_reading()
            return seen
        if self._is_due(address):
            self._begin_reading()
        return replace(seen, cycles=looked.cycles[address], cycles_began=looked.began)

    async def read(self) -> None:
        """Count the cycles of all hosted addresses now, unless nobody asks for them. Never raises."""
        if self._hosted():
            self._begin_reading()
        if self._reading is not None:
            await asyncio.wait([self._reading])

    def _is_due(self, address: str) -> bool:
        is_time = asyncio.get_running_loop().time() >= self._due.get(address, float("-inf"))
        return (is_time or address in self._asked) and not self._is_fresh(address)

    def _is_fresh(self, address: str) -> bool:
        """Whether a reading was not decided on yet and began when one was asked for or due, or just before."""
        if self._looked is None or self._looked.began <= self._decided_on.get(address, float("-inf")):
            return False
        age, shared = asyncio.get_running_loop().time() - self._looked.began, SHARED_WITHIN.total_seconds()
        earliest = self._asked.get(address, self._due.get(address, float("-inf")) - shared)
        return self._looked.began >= earliest and age <= shared

    def _begin_reading(self) -> None:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._read(), name="count cycles")

    def _hosted(self) -> set[str]:
        return {address for address, policy in self._policies().items() if policy.host_mode is not None}

    async def _read(self) -> None:
        began, asked = asyncio.get_running_loop().time(), sorted(self._hosted() | self._open)
        try:
            mark = await self._ledger.mark()
            found = await self._counted(asked)
            trusted = {address: await self._trusted(cycles) for address, cycles in found.items()}
            self._looked = Looked(began, mark, trusted)
            for cycles in trusted.values():
                await self._remember(cycles, began)
        except LedgerError:
            pass  # the next tick meets the same ledger and tells it; what was not kept is counted again
        self.hurry(address for address in asked if self._is_fresh(address))

    async def _counted(self, addresses: Collection[str]) -> Mapping[str, Cycles]:
        at = self._now()
        try:
            found = await self._counter.cycles_of(addresses)
        except NettsUnavailable as error:
            self.heard(error)
            why = str(error)
            return {address: Cycles(address, CyclesKnown.UNKNOWN, None, at, detail=why) for address in addresses}
        self.heard(None)
        return found

    async def _trusted(self, cycles: Cycles) -> Cycles:
        """The cycles, or unknown ones where their count stands under a key that is doubted."""
        if cycles.known is not CyclesKnown.COUNTED:
            return cycles
        keys = await self._ledger.cycle_keys()
        if cycles.key not in keys:
            used = ", ".join(key for key, doubt in keys.items() if not doubt)
            doubt = f"the count stood under {used} so far" if keys else ""
            if await self._ledger.judge_cycle_key(cycles.key, doubt) and doubt:
                self._log.emit(LogEvent.CYCLES_DOUBTED, address=cycles.address, key=cycles.key, detail=doubt)
            keys = await self._ledger.cycle_keys()
        doubt = keys[cycles.key]
        if not doubt:
            return cycles
        why = f"{cycles.remaining} stands under {cycles.key}, which is doubted: {doubt}"
        return replace(cycles, known=CyclesKnown.UNKNOWN, remaining=None, detail=why)

    async def _remember(self, cycles: Cycles, began: float) -> None:
        address = cycles.address
        if cycles.known is CyclesKnown.UNKNOWN:
            self._unknown_since.setdefault(address, began)
            return
        self._unknown_since.pop(address, None)
        self._last_known[address] = cycles
        if cycles.remaining is not None and self._noted.get(address) != (cycles.remaining, cycles.key):
            await self._ledger.note_count(Count(address, cycles.read_at, cycles.remaining, cycles.key))
            self._noted[address] = (cycles.remaining, cycles.key)

    # --- decide -------------------------------------------------------------------------------------------------------

    async def decide_and_act(self, policy: Policy, address: str, seen: Seen) -> list[Order]:
        """Decide once on each reading that was due, and send what was decided."""
        if policy.host_mode is None or seen.cycles is None or not self._is_fresh(address):
            return []
        self._decided_on[address] = seen.cycles_began
        self._asked.pop(address, None)
        try:
            decision, order = await self._commit(policy, address, seen)
        except (Conflict, OverBudget):
            return []
        self._log.decision(decision)
        if order is not None and self._buyer is not None:
            self._log.order(LogEvent.ORDER_INTENDED, order)
            order = await self._orders.send(order, self._buyer)
            if order.state is OrderState.REFUSED:
                decision = replace(decision, action=Action.HOLD, reason=Reason.REFUSED, detail=order.outcome)
        if address in self._hosted():
            self.latest[address] = decision
        return [] if order is None else [order]

    async def _commit(self, policy: Policy, address: str, seen: Seen) -> tuple[Decision, Order | None]:
        """Raises Conflict or OverBudget when somebody else was faster: the next reading asks again."""
        decision, order, at = await self._decide(policy, address, seen)
        read_at = self._known.prices.rent_read_at
        if order is not None and read_at is not None and at - read_at > PRICE_FRESH_FOR:
            with contextlib.suppress(NettsUnavailable):
                await self._known.read_prices(cycles=True)
            decision, order, at = await self._decide(policy, address, seen)
        if order is None:
            self._note(decision)
            return decision, None
        await self._write_down()
        self._is_still_wanted(policy, address)
        await self._ledger.commit(decision, order, policy.limits, at)
        return decision, order

    async def _decide(self, policy: Policy, address: str, seen: Seen) -> tuple[Decision, Order | None, datetime]:
        plain = await self._situation(policy, address, seen.reading, OrderKind.CYCLES)
        situation = replace(plain, cycles=seen.cycles)
        decision = decide_cycles(situation, f"{self._rng.getrandbits(64):016x}")
        if decision.action is not Action.ORDER_CYCLES:
            return decision, None, situation.now
        key = f"{self._rng.getrandbits(256):064x}"
        return decision, self._orders.intent(decision, situation, key), situation.now

    def next_look(self, policy: Policy | None, address: str, orders: Iterable[Order]) -> timedelta | None:
        """In how long the cycles want their address to be looked at; None: they do not ask for it."""
        states = [order.state for order in orders if order.kind is OrderKind.CYCLES]
        is_open = any(state in (*UNSETTLED, OrderState.PLACED) for state in states)
        (self._open.add if is_open else self._open.discard)(address)
        rule = policy.host_mode if policy else None
        if rule is None and not is_open:
            return None
        pace = SOON if is_open or rule is None else rule.check_every
        if address in self._unknown_since:
            pace = min(pace, UNKNOWN_EVERY)
        due = self._decided_on.get(address, float("-inf")) + pace.total_seconds()
        self._due[address] = due
        wait = due - asyncio.get_running_loop().time()
        return timedelta(seconds=wait) if wait > 0 and address not in self._asked else POLLED_EVERY

    # --- what people ask ----------------------------------------------------------------------------------------------

    async def order_by_hand(self, policy: Policy, address: str, cycles: int, seen: Seen) -> Order:
        """Order cycles because a person says so: not held to what the policy wants, nor to its budget.

        The order counts in that budget all the same. Raises NotPossible.
        """
        buyer = self._buyer
        if buyer is None:
            raise NotPossible("the daemon does not spend; run it with `mode: live`")
        with contextlib.suppress(NettsUnavailable):
            await self._known.read_prices(cycles=True)
        plain = await self._situation(policy, address, seen.reading, OrderKind.CYCLES)
        if cycles > plain.limits.cycles_max:
            raise NotPossible(f"one order may have {plain.limits.cycles_max} cycles; order fewer")
        situation = replace(plain, cycles=seen.cycles)
        decision = decide_by_hand(situation, cycles, f"{self._rng.getrandbits(64):016x}")
        self._log.decision(decision)
        if decision.action is not Action.ORDER_CYCLES:
            self._note(decision)
            raise NotPossible(decision.detail)
        order = self._orders.intent(decision, situation, f"{self._rng.getrandbits(256):064x}")
        await self._write_down()
        try:
            await self._ledger.commit(decision, order, None, situation.now)
        except Conflict as error:
            raise NotPossible(f"somebody else was faster: {error}") from None
        self._log.order(LogEvent.ORDER_INTENDED, order)
        self._open.add(address)
        self.hurry([address])
        return await self._orders.send(order, buyer)

    async def act(self, act: HostAct, address: str, *, energy: int | None = None) -> HostActed:
        """Do to an address what only a person decides. It is written down before Netts is asked. Raises NotPossible."""
        if self._buyer is None:
            raise NotPossible("the daemon does not act at Netts; run it with `mode: live`")
        at = self._now()
        act_id = await self._ledger.begin_host_act(address, act, at)
        outcome = await self._counter.act(act, address, energy=energy)
        said = _told(outcome)
        ended_at = self._now()
        self._log.emit(LogEvent.HOST_ACT, address=address, act=str(act), outcome=said)
        await self._ledger.end_host_act(act_id, said, ended_at)
        self._ask_again({address} & self._hosted())
        if isinstance(outcome, Refused):
            raise NotPossible(f"Netts refused it: {said}")
        return HostActed(act_id, address, act, at, self._host, ended_at, said)

    async def confirm_key(self, key: str) -> None:
        """A person says that the count of cycles stands under this key. Raises NotPossible for one never seen."""
        known = await self._ledger.cycle_keys()
        if key not in known:
            raise NotPossible(f"no count was ever found under {key!r}; found were: {', '.join(known) or 'none'}")
        await self._ledger.judge_cycle_key(key, "")
        self._ask_again(self._hosted())

    def _ask_again(self, addresses: Collection[str]) -> None:
        """Something has changed at Netts: what was read before it is not decided on."""
        self._asked |= dict.fromkeys(addresses, asyncio.get_running_loop().time())
        self.hurry(sorted(addresses))

    def counted(self) -> dict[str, Cycles]:
        """The cycles of every address as they were read last."""
        return {} if self._looked is None else dict(self._looked.cycles)

    # --- what others ask ----------------------------------------------------------------------------------------------

    def uncounted(self) -> list[str]:
        """Hosted addresses whose cycles have not been known for so long that a person should know."""
        before = asyncio.get_running_loop().time() - UNCOUNTED_FOR.total_seconds()
        return sorted(a for a, since in self._unknown_since.items() if since <= before and a in self._hosted())

    def has_until(self, policy: Policy, address: str) -> datetime | None:
        """Until when Host Mode is given to fill an address up by itself; None where it cannot."""
        cycles = self._last_known.get(address)
        if policy.host_mode is None or cycles is None:
            return None
        if cycles.known is not CyclesKnown.INFINITE and not cycles.remaining:
            return None
        return self._low_since.get(address, self._now()) + DELEGATES_WITHIN

    def hear(self, decision: Decision) -> None:
        """Take note since when energy is missing."""
        if decision.energy is None:
            self._low_since.pop(decision.address, None)
        else:
            self._low_since.setdefault(decision.address, decision.at)


def _told(outcome: Outcome) -> str:
    match outcome:
        case Refused(text=text):
            return text
        case Unclear(why=why):
            return f"unclear: {why}"
    return "done"
