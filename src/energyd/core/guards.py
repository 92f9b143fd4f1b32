"""The guards of a purchase: each compares one figure with one limit, and one that does not pass holds it back.

All guards of a list are asked, so that a person can see every figure; the first that does not pass gives the reason.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from energyd import units
from energyd.core import backoff
from energyd.model import Guard, Mode, Reason, Situation

PRICE_GOOD_FOR = timedelta(minutes=15)
"""A price read longer ago than this is not known any more."""
WITHOUT_FLOOR = timedelta(seconds=10)
"""The cool-down of policies that keep no floor: what was ordered before is normally seen by then (netts-api 13.1)."""
BURN_PRICE_GOOD_FOR = timedelta(hours=12)
"""The burn price changes by a vote, at a maintenance boundary every six hours (tron-energy B1)."""


def known_rent_price(situation: Situation) -> int | None:
    prices = situation.prices
    if prices.rent_read_at is None or abs(situation.now - prices.rent_read_at) > PRICE_GOOD_FOR:
        return None
    return prices.rent_sun


def known_cycle_price(situation: Situation) -> int | None:
    return None if known_rent_price(situation) is None else situation.prices.cycle_sun


def known_burn_price(situation: Situation) -> int | None:
    prices = situation.prices
    if prices.burn_read_at is None or abs(situation.now - prices.burn_read_at) > BURN_PRICE_GOOD_FOR:
        return None
    return prices.burn_sun


@dataclass(frozen=True, slots=True)
class Wish:
    """The purchase that the guards are asked about: so much energy, or so many cycles, and why.

    Prices in sun for one unit of energy, or for one cycle; None where not known.
    """

    situation: Situation
    amount: int
    because: Reason
    price_sun: int | None
    burn_sun: int | None = None

    @property
    def cost_sun(self) -> int | None:
        return None if self.price_sun is None else units.cost_sun(self.amount, self.price_sun)


def _no_unresolved_order(wish: Wish) -> Guard:
    order = wish.situation.memory.unsettled
    figure = "" if order is None else f"order {order.key[:12]} is {order.state}"
    return Guard(Reason.UNRESOLVED_ORDER, order is None, figure)


def _ledger_is_whole(wish: Wish) -> Guard:
    until = wish.situation.memory.hold_until
    passed = until is None or wish.situation.now >= until
    figure = "" if passed else "rentals may run that the ledger does not know of"
    return Guard(Reason.LEDGER_LOST, passed, figure, "" if passed else f"until {until:%Y-%m-%d %H:%M:%S} UTC")


def _all_is_heard(wish: Wish) -> Guard:
    unheard = wish.situation.unheard
    if unheard is None:
        return Guard(Reason.NETTS_UNAVAILABLE, passed=True, figure="the account was read")
    return Guard(unheard.reason, passed=False, figure=unheard.detail)


def _not_paused(wish: Wish) -> Guard:
    pause = next(iter(wish.situation.memory.pauses), None)
    figure = "" if pause is None else f"paused since {pause.since:%Y-%m-%d %H:%M:%S} UTC"
    return Guard(Reason.PAUSED, pause is None, figure, pause.why if pause else "")


def _account_accepts(wish: Wish) -> Guard:
    return backoff.guard(wish.situation.memory.account_refusals, wish.situation, wish.cost_sun, "the account's")


def _address_accepts(wish: Wish) -> Guard:
    return backoff.guard(wish.situation.memory.refusals, wish.situation, wish.cost_sun, "this address's")


def _cooled_down(wish: Wish) -> Guard:
    rule, last = wish.situation.policy.energy, wish.situation.memory.last_order_at
    if last is None:
        return Guard(Reason.COOLDOWN, passed=True)
    cooldown = WITHOUT_FLOOR if rule is None else rule.cooldown
    passed_time = abs(wish.situation.now - last)
    return Guard(
        Reason.COOLDOWN,
        passed_time >= cooldown,
        f"{units.duration_text(passed_time)} since the last order",
        units.duration_text(cooldown),
    )


def _price_is_known(wish: Wish) -> Guard:
    known = wish.price_sun is not None
    figure = f"{wish.price_sun} sun" if known else "no price was read from Netts in the last 15 minutes"
    return Guard(Reason.PRICE_UNKNOWN, known, figure)


def _price_is_allowed(wish: Wish) -> Guard:
    rule = wish.situation.policy.energy
    cap = rule.max_price if rule is not None else None
    if cap is None or wish.price_sun is None:
        return Guard(Reason.PRICE_TOO_HIGH, passed=True, limit="" if cap is None else str(cap))
    limit = cap.in_sun(wish.burn_sun)
    if limit is None:
        return Guard(Reason.PRICE_UNKNOWN, passed=False, figure="the burn price is not known", limit=str(cap))
    shown = str(cap) if cap.sun is not None else f"{limit.normalize():f} sun ({cap})"
    return Guard(Reason.PRICE_TOO_HIGH, Decimal(wish.price_sun) <= limit, f"{wish.price_sun} sun", shown)


def _cheaper_than_burning(wish: Wish) -> Guard:
    if wish.price_sun is None or wish.burn_sun is None:
        return Guard(Reason.DEARER_THAN_BURNING, passed=True, figure="not known")
    return Guard(
        Reason.DEARER_THAN_BURNING, wish.price_sun <= wish.burn_sun, f"{wish.price_sun} sun", f"{wish.burn_sun} sun"
    )


def _left_to_host_mode(wish: Wish) -> Guard:
    until = wish.situation.left_to_host_mode_until
    passed = until is None or wish.because is not Reason.BELOW_FLOOR or wish.situation.now >= until
    figure = "" if passed else "Netts has cycles to fill the address up with"
    return Guard(Reason.LEFT_TO_HOST_MODE, passed, figure, "" if passed else f"until {until:%H:%M:%S} UTC")


def _cycle_price_is_allowed(wish: Wish) -> Guard:
    rule = wish.situation.policy.host_mode
    if rule is None or wish.price_sun is None:
        return Guard(Reason.PRICE_TOO_HIGH, passed=True)
    limit = rule.max_cycle_price
    return Guard(Reason.PRICE_TOO_HIGH, wish.price_sun <= limit, units.trx_text(wish.price_sun), units.trx_text(limit))


def _budget(reason: Reason, spent_sun: int, limit_sun: int | None, cost_sun: int | None) -> Guard:
    if limit_sun is None:
        return Guard(reason, passed=True, limit="unlimited")
    if cost_sun is None:
        return Guard(reason, passed=True, figure="not known", limit=units.trx_text(limit_sun))
    total = spent_sun + cost_sun
    return Guard(reason, total <= limit_sun, units.trx_text(total), units.trx_text(limit_sun))


def _within_order_budget(wish: Wish) -> Guard:
    budget = wish.situation.policy.limits
    return _budget(Reason.BUDGET_PER_ORDER, 0, budget.per_order if budget else None, wish.cost_sun)


def _within_hour_budget(wish: Wish) -> Guard:
    budget = wish.situation.policy.limits
    spent = wish.situation.memory.spent_hour_sun
    return _budget(Reason.BUDGET_PER_HOUR, spent, budget.per_hour if budget else None, wish.cost_sun)


def _within_day_budget(wish: Wish) -> Guard:
    budget = wish.situation.policy.limits
    spent = wish.situation.memory.spent_day_sun
    return _budget(Reason.BUDGET_PER_DAY, spent, budget.per_day if budget else None, wish.cost_sun)


def _balance_suffices(wish: Wish) -> Guard:
    funds = wish.situation.funds
    if funds is None or wish.cost_sun is None:
        return Guard(Reason.NO_FUNDS, passed=True, figure="not known")
    return Guard(
        Reason.NO_FUNDS,
        funds.balance_sun >= wish.cost_sun,
        f"a balance of {units.trx_text(funds.balance_sun)}",
        f"a cost of {units.trx_text(wish.cost_sun)}",
    )


def _policy_spends(wish: Wish) -> Guard:
    return Guard(Reason.OBSERVE, wish.situation.policy.mode is None)


def _daemon_spends(wish: Wish) -> Guard:
    return Guard(Reason.DRY_RUN, wish.situation.mode is Mode.LIVE)


Guards = tuple[Callable[[Wish], Guard], ...]

_MAY_ORDER: Guards = (
    _no_unresolved_order,
    _ledger_is_whole,
    _all_is_heard,
    _not_paused,
    _account_accepts,
    _address_accepts,
)
_RENT_PRICE: Guards = (_price_is_known, _price_is_allowed, _cheaper_than_burning)
_CYCLE_PRICE: Guards = (_price_is_known, _cycle_price_is_allowed)
_MAY_SPEND: Guards = (
    _within_order_budget,
    _within_hour_budget,
    _within_day_budget,
    _balance_suffices,
    _policy_spends,
    _daemon_spends,
)

GUARDS: Guards = (*_MAY_ORDER, _cooled_down, _left_to_host_mode, *_RENT_PRICE, *_MAY_SPEND)
"""Every guard of a rental, in the order in which the first that fails gives the reason."""
CYCLE_GUARDS: Guards = (*_MAY_ORDER, *_CYCLE_PRICE, *_MAY_SPEND)
"""Every guard of an order of cycles."""
BY_HAND_GUARDS: Guards = (_no_unresolved_order, _price_is_known, _balance_suffices, _daemon_spends)
"""What stops even an order of cycles that a person asks for."""


def held_back(failed: Guard, because: Reason, action: str) -> str:
    """What a guard that does not pass says, as one sentence; `action` is what would be done."""
    if failed.reason in (Reason.DRY_RUN, Reason.OBSERVE):
        return f"would {action}: {because}"
    compared = " against ".join(part for part in (failed.figure, failed.limit) if part)
    return f"{because}, but {failed.reason}: {compared}" if compared else f"{because}, but {failed.reason}"
