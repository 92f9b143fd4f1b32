"""What the log says: every event with its fields, every reason and every alert with what to do about it.

`python -m energyd.catalogue > docs/events.md` writes the page anew; a test compares the two, and every line that the
tests of the engine see is held against this.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from energyd.model import Action, AlertName, HostAct, OrderState, Reason
from energyd.telemetry import LogEvent, level_of


class Type(StrEnum):
    TEXT = "text"
    WORD = "word"
    INTEGER = "integer"
    NUMBER = "number"
    MOMENT = "moment"
    TEXTS = "list of texts"


@dataclass(frozen=True, slots=True)
class Field:
    type: Type
    text: str
    unit: str = ""


FIELDS = {
    "timestamp": Field(Type.MOMENT, "when the line was written"),
    "level": Field(Type.WORD, "`debug`, `info`, `warning` or `error`"),
    "event": Field(Type.WORD, "the name of the event"),
    "act": Field(Type.WORD, "what was asked of Netts: " + ", ".join(f"`{act}`" for act in HostAct)),
    "action": Field(Type.WORD, "what was decided: " + ", ".join(f"`{action}`" for action in Action)),
    "added": Field(Type.TEXTS, "names of policies that are new"),
    "address": Field(Type.TEXT, "the TRON address that it is about"),
    "addresses": Field(Type.INTEGER, "how many addresses enabled policies watch"),
    "alert": Field(Type.WORD, "the name of the alert, see below"),
    "at": Field(Type.MOMENT, "when the calls are made"),
    "available": Field(Type.INTEGER, "what can be spent now, as the chain shows it", "energy, or cycles"),
    "call": Field(Type.TEXT, "the name of the call"),
    "call_id": Field(Type.TEXT, "the call, in `energyd calls`"),
    "changed": Field(Type.TEXTS, "names of policies that are not as they were"),
    "cost_trx": Field(Type.NUMBER, "what was charged, or, until that is known, the most it can be", "TRX, exact"),
    "cycles": Field(Type.INTEGER, "how many are ordered, or would be", "Host Mode cycles"),
    "decision_id": Field(Type.TEXT, "the decision, in the ledger"),
    "demand": Field(Type.INTEGER, "what must be there", "energy, or cycles"),
    "detail": Field(Type.TEXT, "one sentence for a person, where the rest leaves a question"),
    "digest": Field(Type.TEXT, "the SHA-256 of the configuration; the same for the same content"),
    "energy": Field(Type.INTEGER, "how much is ordered, or would be, or is needed", "energy"),
    "error": Field(Type.TEXT, "what went wrong, without secrets"),
    "faults": Field(Type.TEXTS, "every fault, as `file:line:column: message`"),
    "fee_limit_trx": Field(Type.NUMBER, "the least `fee_limit` with which the dearest call can run", "TRX, exact"),
    "gap": Field(Type.INTEGER, "what is missing", "energy, or cycles"),
    "http_status": Field(Type.INTEGER, "of Netts' answer to the order", "HTTP status"),
    "in_flight": Field(Type.INTEGER, "ordered, and not on chain yet", "energy, or cycles"),
    "job": Field(Type.TEXT, "the job in which it happened"),
    "key": Field(Type.TEXT, "the name under which Netts' answer holds the count of cycles"),
    "mode": Field(Type.WORD, "`live` or `dry-run`"),
    "needed_by": Field(Type.MOMENT, "when the energy must be on chain"),
    "netts_order_id": Field(Type.TEXT, "the order, at Netts"),
    "order_key": Field(Type.TEXT, "the order, in the ledger and as `X-Idempotency-Key` at Netts"),
    "outcome": Field(Type.TEXT, "what Netts' answer means, or what was found out about the order"),
    "policies": Field(Type.INTEGER, "how many policies are loaded, enabled or not"),
    "policy": Field(Type.TEXT, "the name of the policy"),
    "price_sun": Field(Type.INTEGER, "what one unit of energy, or one cycle, costs to rent now", "sun"),
    "reason": Field(Type.WORD, "why: one word of the closed list below"),
    "removed": Field(Type.TEXTS, "names of policies that are gone"),
    "request": Field(Type.TEXT, "the path of the request in which it happened"),
    "seconds": Field(Type.NUMBER, "since the order was sent", "seconds"),
    "service": Field(Type.WORD, "the kind of notification URL: its scheme, such as `ntfys` or `mailto`"),
    "subject": Field(Type.TEXT, "what the alert is about: an order, a call, an address or a policy"),
    "summary": Field(Type.TEXT, "the alert in one sentence"),
    "supply": Field(Type.INTEGER, "what will still be there at the moment that counts", "energy, or cycles"),
    "until": Field(Type.MOMENT, "when it ends by itself"),
    "url": Field(Type.TEXT, "the node or Netts: scheme, host and port only"),
    "version": Field(Type.TEXT, "the version of energyd"),
}
"""One meaning for each name, in whatever event it stands."""

HEAD = ("timestamp", "level", "event")


@dataclass(frozen=True, slots=True)
class Entry:
    """An event: when it is logged, and its fields, those with a question mark only where they are known."""

    when: str
    named: str
    todo: str = ""

    @property
    def always(self) -> list[str]:
        return [name for name in self.named.split() if not name.endswith("?")]

    @property
    def sometimes(self) -> list[str]:
        return [name[:-1] for name in self.named.split() if name.endswith("?")]


_LIFE = "version mode addresses policies"
_ORDER = "policy address order_key cost_trx energy? cycles? netts_order_id? http_status? outcome?"
_CALL = "policy address call call_id needed_by at energy? detail?"
_DECISION = (
    "policy address decision_id action reason demand? supply? gap? available? in_flight? energy? cycles? price_sun? "
    "cost_trx? detail?"
)

EVENTS = {
    LogEvent.DAEMON_STARTED: Entry("the process runs; nothing is watched yet", _LIFE),
    LogEvent.DAEMON_READY: Entry(
        "policies are loaded, the ledger is open, the control API listens; the node may still be down", _LIFE
    ),
    LogEvent.DAEMON_STOPPING: Entry("it was asked to stop, and ends what is under way", _LIFE),
    LogEvent.DAEMON_STOPPED: Entry("the last line of a process that was not killed", _LIFE),
    LogEvent.POLICIES_LOADED: Entry(
        "at start and at each reload: all files are taken over", "digest added removed changed detail?"
    ),
    LogEvent.POLICIES_REJECTED: Entry(
        "the files have faults; nothing of them is taken over, the last good policies go on",
        "faults",
        "mend what `faults` names and reload",
    ),
    LogEvent.DECISION: Entry(
        "every look at an address, also when nothing is done. Figures are energy; in a decision about Host Mode they "
        "are cycles",
        _DECISION,
    ),
    LogEvent.ORDER_INTENDED: Entry("an order is written down; money cannot have moved", _ORDER),
    LogEvent.ORDER_SENT: Entry("it is marked as being sent; from here on money may move", _ORDER),
    LogEvent.ORDER_PLACED: Entry("Netts took it", _ORDER),
    LogEvent.ORDER_REFUSED: Entry(
        "Netts did not take it, or it never left; no money moved", f"{_ORDER} detail?", "see the reason in `outcome`"
    ),
    LogEvent.ORDER_UNRESOLVED: Entry(
        "nobody knows whether Netts took it; the address orders nothing more until that is known",
        _ORDER,
        "nothing at first: it is looked into. If `order.resolved` does not follow, look into the account at Netts, "
        "then `energyd orders settle`",
    ),
    LogEvent.ORDER_RESOLVED: Entry("what became of an unclear order, in `outcome`", f"{_ORDER} detail?"),
    LogEvent.ENERGY_DELIVERED: Entry("the rented energy is on chain", "policy address order_key energy seconds"),
    LogEvent.ENERGY_LATE: Entry(
        "a placed order's energy is not on chain in time; it is waited for and not bought again",
        "policy address order_key energy seconds",
        "if it does not come, ask Netts about the order",
    ),
    LogEvent.RENTAL_EXPIRED: Entry("the hour of a rental is over", "policy address order_key energy"),
    LogEvent.CYCLES_ADDED: Entry("ordered cycles show in the count", f"{_ORDER} detail?"),
    LogEvent.CYCLES_MISSING: Entry(
        "cycles were charged and do not show in the count", f"{_ORDER} detail?", "ask Netts about the order"
    ),
    LogEvent.CYCLES_DOUBTED: Entry(
        "the key under which the count of cycles stands does not behave like one; no cycles are ordered by it",
        "address key detail",
        "see the alert `cycles_doubted`",
    ),
    LogEvent.HOST_ACT: Entry("a person changed an address's Host Mode at Netts through energyd", "address act outcome"),
    LogEvent.CALL_DUE: Entry("the energy of a call is being seen to from now on", f"{_CALL} fee_limit_trx?"),
    LogEvent.CALL_COVERED: Entry("the energy of a call is on chain, and is kept for it", _CALL),
    LogEvent.CALL_MISSED: Entry(
        "the energy of a call was not there by `needed_by`; it is still tried for",
        _CALL,
        "look at the decisions about the address before that moment",
    ),
    LogEvent.SPENDING_PAUSED: Entry(
        "a person stopped spending: of an address, of a policy, or of everything", "policy? address? until? detail?"
    ),
    LogEvent.SPENDING_RESUMED: Entry("and lets it go on", "policy? address?"),
    LogEvent.NODE_FAILED: Entry(
        "a node gives no believable answer; the next one of the list is asked", "url error", "see `energyd doctor`"
    ),
    LogEvent.NODE_RECOVERED: Entry("it does again", "url"),
    LogEvent.NETTS_FAILED: Entry("Netts cannot be read", "url error", "see `energyd doctor`"),
    LogEvent.NETTS_RECOVERED: Entry("it can again", "url"),
    LogEvent.ALERT_RAISED: Entry("an alert stands from now on", "alert summary subject?", "see the alert, below"),
    LogEvent.ALERT_CLEARED: Entry("it does not stand any more", "alert summary subject?"),
    LogEvent.NOTIFY_FAILED: Entry(
        "an alert could not be sent to a notification service; it is tried again and again",
        "service error",
        "see whether the service works, and `alerts` in energyd.yaml",
    ),
    LogEvent.NOTIFY_RECOVERED: Entry("it takes alerts again", "service"),
    LogEvent.LEDGER_LOST: Entry(
        "the ledger seems to have forgotten orders; nothing is ordered until what they rented is over",
        "address? until detail",
        "put the right ledger file back",
    ),
    LogEvent.FAULT: Entry(
        "something that should not be possible: a bug; everything else goes on",
        "error address? order_key? job? request?",
        "report it, with the line",
    ),
}


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a word means, and what to do; nothing where all is as it should be."""

    text: str
    todo: str = ""


_NODE_TODO = "see `energyd doctor`; add a fallback node"
_NETTS_TODO = "wait; if it stays so, look at Netts' own announcements"
_RAISE = "raise the budget in the policy, or find out what uses so much"

REASONS = {
    Reason.ENOUGH: Meaning("what will be there is what must be there"),
    Reason.BELOW_FLOOR: Meaning("energy will fall below the floor, so it is rented"),
    Reason.PLANNED_CALL: Meaning("a planned call needs energy, so it is rented"),
    Reason.ENSURE: Meaning("an application asked for energy, so it is rented"),
    Reason.NO_ESTIMATE: Meaning(
        "a call is due and nobody knows what it uses",
        "see `detail`; write the call's `energy` as a number, or take a node that runs constant calls",
    ),
    Reason.IN_FLIGHT: Meaning("what is missing is ordered and on its way"),
    Reason.UNRESOLVED_ORDER: Meaning(
        "an order of this address may or may not have been placed, so there is no second one",
        "wait; if it stays so, look into the account at Netts, then `energyd orders settle`",
    ),
    Reason.COOLDOWN: Meaning("the last order of this address is too recent", "nothing; or shorten `cooldown`"),
    Reason.OUTSIDE_WINDOW: Meaning("`keep` does not ask for energy at this time"),
    Reason.INACTIVE: Meaning("`keep: while_active`, and the address was not used lately"),
    Reason.PRICE_TOO_HIGH: Meaning("Netts asks more than `max_price` or `max_cycle_price`", "wait, or raise the limit"),
    Reason.PRICE_UNKNOWN: Meaning("no price was read lately, so nothing is bought", "see `energyd doctor`"),
    Reason.DEARER_THAN_BURNING: Meaning("renting costs more than burning TRX would", "wait; calls burn meanwhile"),
    Reason.BUDGET_PER_ORDER: Meaning(
        "the order would cost more than `budget.per_order`", "raise it, or lower `target`"
    ),
    Reason.BUDGET_PER_HOUR: Meaning("with this order the policy would spend more than `budget.per_hour`", _RAISE),
    Reason.BUDGET_PER_DAY: Meaning("with this order the policy would spend more than `budget.per_day`", _RAISE),
    Reason.NO_FUNDS: Meaning("the balance at Netts does not pay for it", "top up the account at Netts"),
    Reason.AUTH_FAILED: Meaning(
        "Netts does not accept the key, or the address that it is used from",
        "see `energyd doctor`; then `energyd reload`, so that it is tried at once",
    ),
    Reason.RATE_LIMITED: Meaning("Netts was asked too often", "nothing; if it stays so, lower `netts.max_rps`"),
    Reason.NETTS_UNAVAILABLE: Meaning("Netts could not be reached, or has no energy to sell", _NETTS_TODO),
    Reason.REFUSED: Meaning("Netts refused the last orders of this address", "see `detail` of `order.refused`"),
    Reason.NODE_UNREACHABLE: Meaning("no node gives a believable answer about the address", _NODE_TODO),
    Reason.READING_STALE: Meaning("the nodes are behind, or this host's clock is wrong", _NODE_TODO),
    Reason.NOT_ACTIVATED: Meaning("the chain does not know the address", "send it some TRX"),
    Reason.CYCLES_ENOUGH: Meaning("there are as many cycles as the policy asks for"),
    Reason.CYCLES_LOW: Meaning("cycles run low, so some are ordered"),
    Reason.CYCLES_UNKNOWN: Meaning(
        "the cycles cannot be counted for certain, so none are ordered", "see `detail` and `energyd doctor`"
    ),
    Reason.INFINITE_CYCLES: Meaning("the address has cycles without end at Netts"),
    Reason.NOT_IN_HOST_MODE: Meaning("Netts does not have the address in Host Mode", "add it there"),
    Reason.LEFT_TO_HOST_MODE: Meaning("Host Mode is about to delegate energy to the address, so none is rented"),
    Reason.BY_HAND: Meaning("a person ordered cycles"),
    Reason.LEDGER_LOST: Meaning(
        "rentals may run that the ledger does not know of, so nothing is ordered until they are over",
        "put the right ledger file back; otherwise wait",
    ),
    Reason.DRY_RUN: Meaning("it would order; the daemon is in `mode: dry-run`", "set `mode: live`, if you mean it"),
    Reason.OBSERVE: Meaning("it would order; the policy has `mode: observe`", "remove that, if you mean it"),
    Reason.PAUSED: Meaning("spending is paused by a person", "`energyd resume`"),
}

ALERTS = {
    AlertName.NETTS_BALANCE_LOW: Meaning(
        "the balance does not pay for one order for every address, or Netts refused an order for lack of it",
        "top up the account at Netts",
    ),
    AlertName.NETTS_AUTH_FAILED: Meaning(
        "Netts does not accept the key or the address that it is used from",
        "`energyd doctor` says which; `energyd reload` after mending it at Netts or writing a new `api_key_file`, "
        "a restart after changing a systemd credential or a variable",
    ),
    AlertName.NETTS_UNAVAILABLE: Meaning("Netts has failed for 30 seconds, or refuses orders in a row", _NETTS_TODO),
    AlertName.NODE_UNAVAILABLE: Meaning("no node has worked for 30 seconds; nothing is bought blindly", _NODE_TODO),
    AlertName.BUDGET_EXHAUSTED: Meaning("a policy needs energy and may spend no more", _RAISE),
    AlertName.ORDER_UNRESOLVED: Meaning(
        "an order may or may not have been placed; its address orders nothing more",
        "wait some minutes; if it stands, look into the account at Netts, then "
        "`energyd orders settle KEY --placed` or `--not-placed`",
    ),
    AlertName.DELIVERY_LATE: Meaning("a placed order's energy is not on chain in time", "ask Netts about the order"),
    AlertName.CALL_MISSED: Meaning(
        "the energy of a call was not there in time", "hold the call back until `call.covered`, or let it burn TRX"
    ),
    AlertName.CYCLES_LOW: Meaning(
        "an address runs out of Host Mode cycles and none could be ordered, or they cannot be counted",
        "`energyd explain ADDRESS` says why",
    ),
    AlertName.CYCLES_DOUBTED: Meaning(
        "an order of cycles did not show in the count, so the count is not trusted and nothing is ordered by it",
        "compare the count with your account at Netts",
    ),
    AlertName.POLICIES_REJECTED: Meaning(
        "the files as they are now have faults; the policies from before go on",
        "`energyd check`, then `energyd reload`",
    ),
    AlertName.LEDGER_FAILED: Meaning(
        "the ledger cannot be read or written; nothing is ordered that cannot be written down",
        "`energyd doctor`: free disk space, rights, another process",
    ),
    AlertName.CHARGED_ABOVE_QUOTE: Meaning(
        "Netts charged more than it quoted; booked as charged, also against the budget", "ask Netts about the order"
    ),
}

# --- the page -------------------------------------------------------------------------------------------------------

_INTRODUCTION = """\
# The log: events, fields, reasons, alerts

This page is written from the code by `python -m energyd.catalogue`; the names on it are stable. One event is one line,
in JSON unless `log.format` says otherwise. Every line begins with `timestamp` (UTC, milliseconds), `level` and `event`.
A field that is not known is left out, and is never zero instead. Amounts of TRX are exact decimal numbers: read them as
decimals, not as floating point, where they are summed. Under journald every field is a field of the journal's, too, in
capital letters: `journalctl POLICY=payouts EVENT=order.placed`. API keys are in no line.

[monitoring.md](monitoring.md) has recipes.
"""


def page() -> str:
    """docs/events.md."""
    return "\n".join(
        [_INTRODUCTION, *_event_lines(), *_field_lines(), *_reason_lines(), *_alert_lines(), *_state_lines()]
    )


def _event_lines() -> Iterator[str]:
    yield "## Events\n\nFields in *italics* are left out where they are not known or say nothing.\n"
    yield "| event | level | when | fields | what to do |\n|---|---|---|---|---|"
    for event, entry in EVENTS.items():
        fields = ", ".join([*entry.always, *(f"*{name}*" for name in entry.sometimes)])
        yield f"| `{event}` | {level_of(event)} | {entry.when} | {fields} | {entry.todo} |"


def _field_lines() -> Iterator[str]:
    yield "\n## Fields\n\nA name means the same in every event. A word is a text of a closed list.\n"
    yield "| field | type | unit | what it says |\n|---|---|---|---|"
    for name, field in FIELDS.items():
        yield f"| `{name}` | {field.type} | {field.unit} | {field.text} |"


def _reason_lines() -> Iterator[str]:
    yield "\n## Reasons\n\nEvery decision has exactly one. Where nothing is to be done, nothing is wrong.\n"
    yield "| reason | what it means | what to do |\n|---|---|---|"
    for reason, meaning in REASONS.items():
        yield f"| `{reason}` | {meaning.text} | {meaning.todo} |"


def _alert_lines() -> Iterator[str]:
    yield "\n## Alerts\n\nRaised once with `alert.raised` and cleared once with `alert.cleared`.\n"
    yield "| alert | what it means | what to do |\n|---|---|---|"
    for alert, meaning in ALERTS.items():
        yield f"| `{alert}` | {meaning.text} | {meaning.todo} |"


_STATES = {
    OrderState.INTENDED: "written down; money cannot have moved",
    OrderState.SENT: "on its way to Netts; money may move",
    OrderState.UNRESOLVED: "nobody knows whether Netts took it",
    OrderState.PLACED: "Netts took it; the energy is waited for",
    OrderState.DELIVERED: "the energy is on chain",
    OrderState.DROPPED: "never sent",
    OrderState.REFUSED: "Netts did not take it",
    OrderState.NOT_PLACED: "it was unclear, and turned out not to have been taken",
    OrderState.UNDELIVERED: "paid for, and its hour went by without the energy having been seen",
    OrderState.EXPIRED: "its hour is over",
}


def _state_lines() -> Iterator[str]:
    yield "\n## States of an order\n\nAs `energyd orders` and the control API show them in `state`.\n"
    yield "| state | what it means |\n|---|---|"
    for state, text in _STATES.items():
        yield f"| `{state}` | {text} |"
    yield ""


if __name__ == "__main__":
    sys.stdout.write(page())
