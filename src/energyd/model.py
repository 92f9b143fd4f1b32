"""The nouns: frozen values that every part shares. Shapes and words only, no behaviour beyond a sum or a difference.

Money is integer sun, energy an integer, a moment an aware datetime in UTC. A figure that is not known is None and is
never read as zero.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from energyd.policy import Policy

RENTAL_TIME = timedelta(hours=1)
"""A rental lasts exactly one hour from the order (netts-api 3.4)."""


class Mode(StrEnum):
    LIVE = "live"
    DRY_RUN = "dry-run"


class Action(StrEnum):
    RENT = "rent"
    ORDER_CYCLES = "order_cycles"
    HOLD = "hold"


class Reason(StrEnum):
    """Why a decision is what it is. The list is closed: a decision has exactly one of these."""

    ENOUGH = "enough"
    BELOW_FLOOR = "below_floor"
    PLANNED_CALL = "planned_call"
    ENSURE = "ensure"
    NO_ESTIMATE = "no_estimate"
    IN_FLIGHT = "in_flight"
    UNRESOLVED_ORDER = "unresolved_order"
    COOLDOWN = "cooldown"
    OUTSIDE_WINDOW = "outside_window"
    INACTIVE = "inactive"
    PRICE_TOO_HIGH = "price_too_high"
    PRICE_UNKNOWN = "price_unknown"
    DEARER_THAN_BURNING = "dearer_than_burning"
    BUDGET_PER_ORDER = "budget_per_order"
    BUDGET_PER_HOUR = "budget_per_hour"
    BUDGET_PER_DAY = "budget_per_day"
    NO_FUNDS = "no_funds"
    AUTH_FAILED = "auth_failed"
    RATE_LIMITED = "rate_limited"
    NETTS_UNAVAILABLE = "netts_unavailable"
    REFUSED = "refused"
    NODE_UNREACHABLE = "node_unreachable"
    READING_STALE = "reading_stale"
    NOT_ACTIVATED = "not_activated"
    CYCLES_ENOUGH = "cycles_enough"
    CYCLES_LOW = "cycles_low"
    CYCLES_UNKNOWN = "cycles_unknown"
    INFINITE_CYCLES = "infinite_cycles"
    NOT_IN_HOST_MODE = "not_in_host_mode"
    LEFT_TO_HOST_MODE = "left_to_host_mode"
    BY_HAND = "by_hand"
    LEDGER_LOST = "ledger_lost"
    DRY_RUN = "dry_run"
    OBSERVE = "observe"
    PAUSED = "paused"


# --- what is seen ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reading:
    """The energy of one activated address as a node showed it, recovered to that node's latest block."""

    address: str
    energy_limit: int
    energy_used: int
    read_at: datetime
    block_at: datetime
    node: str
    last_used_at: datetime | None = None
    """When the address last made a contract call; None when it was not asked for or never did."""

    @property
    def available(self) -> int:
        """What can be spent now; usage above the limit has to recover first (tron-energy A2)."""
        return max(self.energy_limit - self.energy_used, 0)


@dataclass(frozen=True, slots=True)
class NoReading:
    """The address could not be read, and why: NODE_UNREACHABLE, READING_STALE or NOT_ACTIVATED."""

    address: str
    reason: Reason
    detail: str
    at: datetime
    is_doubted: bool = False
    """It was read, and what was read is not believed yet."""


@dataclass(frozen=True, slots=True)
class Prices:
    """What one unit of energy and one cycle cost now, in sun; None where it is not known."""

    rent_sun: int | None = None
    cycle_sun: int | None = None
    burn_sun: int | None = None
    rent_read_at: datetime | None = None
    burn_read_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Funds:
    """The prepaid account at Netts: its balance and the counters that rise with each order (sun, pieces, energy)."""

    balance_sun: int
    read_at: datetime
    spent_total_sun: int | None = None
    delegations: int | None = None
    energy_total: int | None = None
    asked_mark: int | None = None
    """The ledger's newest order event when the account was asked: what was settled by then is in these figures."""
    heard_mark: int | None = None
    """The same when its answer was there: what was sent later is not in them."""


class CyclesKnown(StrEnum):
    COUNTED = "counted"
    UNKNOWN = "unknown"
    INFINITE = "infinite"
    NOT_IN_HOST_MODE = "not_in_host_mode"


@dataclass(frozen=True, slots=True)
class Cycles:
    """The Host Mode cycles left for an address; `remaining` is a number only when they were counted."""

    address: str
    known: CyclesKnown
    remaining: int | None
    read_at: datetime
    key: str = ""
    """The key of the answer under which the count stood."""
    detail: str = ""
    """Why they are not known."""


@dataclass(frozen=True, slots=True)
class Count:
    """The cycles of an address as they were counted at a moment."""

    address: str
    at: datetime
    remaining: int
    key: str


class HostAct(StrEnum):
    """What only a person does to an address in Host Mode, beside buying cycles."""

    ADD = "add"
    INFINITY = "infinity"
    STOP = "stop"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class HostActed:
    """Something that a person had done to an address in Host Mode, and what came of it."""

    act_id: int
    address: str
    act: HostAct
    at: datetime
    host: str
    ended_at: datetime | None = None
    outcome: str = ""


# --- orders ---------------------------------------------------------------------------------------------------------


class OrderKind(StrEnum):
    RENTAL = "rental"
    CYCLES = "cycles"


class OrderState(StrEnum):
    """Where an order stands; core/order.py says which step may follow."""

    INTENDED = "intended"
    SENT = "sent"
    UNRESOLVED = "unresolved"
    PLACED = "placed"
    DELIVERED = "delivered"
    DROPPED = "dropped"
    REFUSED = "refused"
    NOT_PLACED = "not_placed"
    UNDELIVERED = "undelivered"
    EXPIRED = "expired"
    ADDED = "added"


UNSETTLED = (OrderState.INTENDED, OrderState.SENT, OrderState.UNRESOLVED)
"""Money may be moving: an address has at most one such order."""
OPEN = (*UNSETTLED, OrderState.PLACED, OrderState.DELIVERED)
NEVER_CHARGED = (OrderState.DROPPED, OrderState.REFUSED, OrderState.NOT_PLACED)
"""Every other state counts as spent."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The world just before an order; what is not known is None.

    What came before it and what since is told by what the ledger knew then, never by clocks, which may be set back.
    """

    taken_at: datetime
    energy_limit: int | None = None
    rentals: tuple[str, ...] = ()
    """The keys of the rentals of the address that had come by then, also of those whose hour was over already."""
    cycles: int | None = None
    cycles_key: str = ""
    """The key of the answer under which the count of cycles stood."""
    balance_sun: int | None = None
    spent_total_sun: int | None = None
    asked_mark: int | None = None
    """The marks of the account (see `Funds`), which is read every few minutes only."""
    heard_mark: int | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """One purchase. `cost_max_sun` is what the decision allowed; `cost_sun` what was charged, once that is known."""

    key: str
    kind: OrderKind
    address: str
    policy: str
    decision_id: str
    state: OrderState
    cost_max_sun: int
    baseline: Baseline
    host: str
    intended_at: datetime
    changed_at: datetime
    energy: int | None = None
    cycles: int | None = None
    cost_sun: int | None = None
    netts_order_id: str | None = None
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    outcome: str = ""
    """What the vendor's answer meant, in one word or sentence; never a secret."""
    http_status: int | None = None
    retry_after: timedelta | None = None
    version: int = 1

    @property
    def booked_sun(self) -> int:
        """What this order takes from a budget: the charge once it is known, until then the most it can be."""
        if self.state in NEVER_CHARGED:
            return 0
        return self.cost_max_sun if self.cost_sun is None else self.cost_sun

    @property
    def until_at(self) -> datetime:
        """The end of the rented hour, counted from the earliest moment at which it can have begun."""
        return (self.sent_at or self.intended_at) + RENTAL_TIME


@dataclass(frozen=True, slots=True)
class Sent:
    """The permission to send one order once. Made only by the ledger, after the mark of sending is durable.

    `good_until` is a moment of the event loop's clock and `wall_good_until` the same moment of the wall clock: a host
    that was frozen or suspended in between must not send when it wakes, whichever of the two clocks stood still.
    """

    order: Order
    good_until: float
    wall_good_until: datetime


@dataclass(frozen=True, slots=True)
class Accepted:
    """Netts took the order. Everything but the fact itself may be missing from its answer."""

    http_status: int
    netts_order_id: str | None = None
    cost_sun: int | None = None
    energy: int | None = None
    cycles_total: int | None = None
    repeated: bool = False
    """It answered from its memory of the same idempotency key (HTTP 208) and charged nothing more."""


@dataclass(frozen=True, slots=True)
class Refused:
    """No money moved. `reason` says what stops orders until something changes; `text` is Netts' own, never a secret."""

    reason: Reason
    text: str
    http_status: int | None = None
    retry_after: timedelta | None = None
    required_sun: int | None = None
    available_sun: int | None = None


@dataclass(frozen=True, slots=True)
class Unclear:
    """Money may have moved. Only evidence may end this (core/evidence.py)."""

    why: str
    http_status: int | None = None
    netts_order_id: str | None = None


Outcome = Accepted | Refused | Unclear


@dataclass(frozen=True, slots=True)
class Spend:
    """An order that takes money from the account, and where in the ledger it was sent and settled.

    Both are numbers of order events, to be compared with the marks of `Funds`.
    """

    order: Order
    sent: int
    settled: int | None
    """None while its fate is open."""


@dataclass(frozen=True, slots=True)
class OrderCheck:
    """What Netts knows of an order that was asked for by its own id; anything but the id may be missing."""

    netts_order_id: str
    address: str | None = None
    energy: int | None = None
    cost_sun: int | None = None
    activation_sun: int | None = None
    """What Netts charged for activating the receiver on chain, beside the energy."""
    delegated: bool | None = None
    """It names the transactions that delegated the energy; False while it still works on it."""


class Verdict(StrEnum):
    """What the evidence says about an unclear order."""

    PLACED = "placed"
    NOT_PLACED = "not_placed"
    TOO_EARLY = "too_early"
    CANNOT_TELL = "cannot_tell"


# --- planned calls --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ContractCall:
    """Calls of one function of a contract. `arguments` holds one tuple for `count` equal calls, or one for each."""

    owner: str
    contract: str
    function: str
    arguments: tuple[tuple[Any, ...], ...] = ((),)
    count: int = 1


@dataclass(frozen=True, slots=True)
class Estimate:
    """What calls would use on today's state: all together, and the dearest of them, penalty included, no margin."""

    energy: int
    highest: int
    calls: int
    at: datetime


@dataclass(frozen=True, slots=True)
class NoEstimate:
    """The node could not say what calls would use, and why."""

    reason: Reason
    detail: str
    at: datetime


class CallOrigin(StrEnum):
    """Who said that a call is coming: a policy, a person at run time, or an application that waits for the energy."""

    POLICY = "policy"
    RUNTIME = "runtime"
    ENSURE = "ensure"


class CallState(StrEnum):
    """Where a call stands; core/calls.py says which step may follow."""

    PLANNED = "planned"
    DUE = "due"
    COVERED = "covered"
    MISSED = "missed"
    OVER = "over"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Call:
    """Contract calls of one address at one moment, whose energy must be there from before until after it.

    What it needs is either a figure from the start or estimated from `what`. Energy that the address uses after `at` is
    taken to be the call's own, so that what a call has used is not rented again.
    """

    call_id: str
    name: str
    address: str
    policy: str
    origin: CallOrigin
    at: datetime
    """When the calls are made; for an `ensure` the last moment at which the energy is of use."""
    needed_by: datetime
    """When its energy must be on chain: `lead` before, or, where the call was heard of later, as soon as can be."""
    lead: timedelta
    hold: timedelta
    state: CallState = CallState.PLANNED
    energy: int | None = None
    """What all calls of it need, margin included; None as long as nobody knows."""
    what: ContractCall | None = None
    margin: Decimal = Decimal(0)
    fallback: int | None = None
    """What all calls of it are taken to need when no node can say."""
    highest: int | None = None
    """What the dearest single call uses: its `fee_limit` must pay for that, rented or not (tron-energy B5)."""
    estimated_at: datetime | None = None
    detail: str = ""
    """Why there is no estimate, or why it was missed."""
    used: int = 0
    """Energy that the address has used for it."""
    seen_used: int | None = None
    seen_limit: int | None = None
    """Usage and limit of the address as they were when `used` was counted last."""
    added_at: datetime | None = None
    covered_at: datetime | None = None
    version: int = 1

    @property
    def until(self) -> datetime:
        return self.at + self.hold

    @property
    def remaining(self) -> int:
        """Energy that must still be there for it; 0 while it is not known."""
        return max((self.energy or 0) - self.used, 0)


RUNNING = (CallState.DUE, CallState.COVERED, CallState.MISSED)
"""Its energy is being seen to."""
AHEAD = (CallState.PLANNED, *RUNNING)


# --- what is remembered ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pause:
    """Spending is stopped for one policy, one address, or everything (both None)."""

    pause_id: int
    policy: str | None
    address: str | None
    since: datetime
    until: datetime | None
    why: str


@dataclass(frozen=True, slots=True)
class Refusals:
    """Refusals in a row, since the last order that was placed, by what they say.

    UNRESOLVED_ORDER stands for orders whose answer never came and that were never placed.
    """

    reason: Reason
    count: int
    first_at: datetime
    last_at: datetime
    retry_after: timedelta | None = None
    balance_sun: int | None = None
    """The balance that was known before the newest of them."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What the ledger knows of one address and its policy's budget, for one kind of purchase."""

    rentals: tuple[Order, ...] = ()
    """Rentals that were placed, whatever became of them, until an hour after their hour."""
    unsettled: Order | None = None
    """The one order that may or may not have been placed."""
    spent_hour_sun: int = 0
    spent_day_sun: int = 0
    last_order_at: datetime | None = None
    pauses: tuple[Pause, ...] = ()
    refusals: Refusals | None = None
    account_refusals: Refusals | None = None
    """Refusals that concern the account at Netts, whatever the address: no funds, key, whitelist."""
    hold_until: datetime | None = None
    """The ledger was lost: no order before this moment."""
    calls: tuple[Call, ...] = ()
    """Its calls that are not over, the first to be needed first."""
    cycle_orders: tuple[Order, ...] = ()
    """Orders of cycles that Netts took and whose cycles have not been seen in the count yet."""
    counts: tuple[Count, ...] = ()
    """Counts of its cycles, oldest first, each where it differed from the one before."""


# --- what is decided ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OrderLimits:
    """The smallest and the largest amount that one order may have."""

    energy_min: int = 61_000
    energy_max: int = 3_000_000
    cycles_max: int = 100


@dataclass(frozen=True, slots=True)
class Unheard:
    """What must be heard once after a start before anything is ordered, and whose silence it is."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that a decision about one address may depend on."""

    policy: Policy
    address: str
    mode: Mode
    now: datetime
    reading: Reading | NoReading
    prices: Prices = Prices()
    funds: Funds | None = None
    cycles: Cycles | None = None
    memory: Memory = Memory()
    unheard: Unheard | None = None
    limits: OrderLimits = OrderLimits()
    left_to_host_mode_until: datetime | None = None
    """Host Mode has cycles and is given until then to fill the address up by itself."""


@dataclass(frozen=True, slots=True)
class Need:
    """Energy that an address must have from one moment until another, and because of what."""

    energy: int
    from_at: datetime
    until_at: datetime | None
    """None: no end is in sight."""
    reason: Reason
    call: str = ""
    """The call that it is for, by its name."""
    is_covered: bool = True
    """It has been met before; a call whose energy was never there tolerates no drift."""


@dataclass(frozen=True, slots=True)
class Source:
    """Energy by where it comes from: what the chain shows, what is on its way, what ends before it counts."""

    what: str
    energy: int
    until_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Guard:
    """One check of a purchase: the figure that was compared, the limit, and whether it passed."""

    reason: Reason
    passed: bool
    figure: str = ""
    limit: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about one address, the one reason, and every figure that led to it.

    `available` is what the chain shows now, `in_flight` what is ordered and not seen yet, `supply` what will still be
    there at the moment that counts, `demand` what must be there, `gap` what is missing. Figures that could not be
    known are None. `energy` and `cost_sun` are what would be ordered, also where a guard holds it back.
    """

    decision_id: str
    address: str
    policy: str
    at: datetime
    action: Action
    reason: Reason
    demand: int | None = None
    supply: int | None = None
    gap: int | None = None
    available: int | None = None
    in_flight: int | None = None
    energy: int | None = None
    cycles: int | None = None
    price_sun: int | None = None
    cost_sun: int | None = None
    detail: str = ""
    """One sentence for a person, where the reason alone leaves a question."""
    kind: OrderKind = OrderKind.RENTAL
    """What it is about: energy to rent, or cycles; the figures count the one or the other."""
    guards: tuple[Guard, ...] = ()
    needs: tuple[Need, ...] = ()
    """What `demand` is made of."""
    sources: tuple[Source, ...] = ()
    """What `supply` is made of."""


# --- alerts ---------------------------------------------------------------------------------------------------------


class AlertName(StrEnum):
    NETTS_BALANCE_LOW = "netts_balance_low"
    NETTS_AUTH_FAILED = "netts_auth_failed"
    NETTS_UNAVAILABLE = "netts_unavailable"
    NODE_UNAVAILABLE = "node_unavailable"
    BUDGET_EXHAUSTED = "budget_exhausted"
    ORDER_UNRESOLVED = "order_unresolved"
    DELIVERY_LATE = "delivery_late"
    CALL_MISSED = "call_missed"
    CYCLES_LOW = "cycles_low"
    CYCLES_DOUBTED = "cycles_doubted"
    POLICIES_REJECTED = "policies_rejected"
    LEDGER_FAILED = "ledger_failed"
    CHARGED_ABOVE_QUOTE = "charged_above_quote"


@dataclass(frozen=True, slots=True)
class Alert:
    """Something a person should know of. One subject (an address, a policy, or nothing) has it at most once."""

    name: AlertName
    subject: str
    summary: str
