"""Netts' books: the balance, every charge, every order, and the requests that came in. Judges read them."""

import random
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from energyd.sandbox.history import Rental
from energyd.sandbox.netts_terms import Terms
from energyd.sandbox.world import World
from energyd.units import SUN_PER_TRX, trx

_REMEMBERED_REQUESTS = 100_000


@dataclass(frozen=True, slots=True)
class Received:
    """A request that reached Netts, whether it was answered or not. The API key is not kept."""

    at: datetime
    request_id: int
    method: str
    endpoint: str
    address: str | None
    amount: int | None
    idempotency_key: str | None


@dataclass(frozen=True, slots=True)
class Charge:
    """Money taken: `amount` is energy for an order, cycles for Host Mode. Host Mode orders without id have None."""

    at: datetime
    kind: str
    address: str
    amount: int
    cost_sun: int
    order_id: str | None
    idempotency_key: str | None
    request_id: int | None


@dataclass(frozen=True, slots=True)
class Order:
    """An energy order as `order_check` knows it; the cost contains the activation."""

    order_id: str
    address: str
    energy: int
    price_sun: int
    cost_sun: int
    activation_sun: int
    rental: Rental


class Books:
    def __init__(self, world: World, balance_sun: int, first_number: int = 123_456) -> None:
        self.world = world
        self.balance_sun = balance_sun
        self.deposited_sun = balance_sun
        self.spent_sun = 0
        self.delegations = 0
        self.energy_delegated = 0
        self.charges: list[Charge] = []
        self.orders: dict[str, Order] = {}
        self.received: deque[Received] = deque(maxlen=_REMEMBERED_REQUESTS)
        self._number = first_number - 1

    def deposit(self, sun: int) -> None:
        self.balance_sun += sun
        self.deposited_sun += sun

    def next_number(self) -> int:
        """The number of the next order."""
        self._number += 1
        return self._number

    def charge(
        self,
        kind: str,
        address: str,
        *,
        amount: int,
        cost_sun: int,
        order_id: str | None = None,
        request: Received | None = None,
    ) -> Charge:
        """Takes the money. Whether there is enough of it is the caller's question."""
        charge = Charge(
            at=self.world.time,
            kind=kind,
            address=address,
            amount=amount,
            cost_sun=cost_sun,
            order_id=order_id,
            idempotency_key=request.idempotency_key if request else None,
            request_id=request.request_id if request else None,
        )
        self.balance_sun -= cost_sun
        self.spent_sun += cost_sun
        self.charges.append(charge)
        return charge

    def delegate(self, address: str, energy: int, length: timedelta, terms: Terms) -> Rental:
        """Has energy delivered as the terms have it, and counts it."""
        self.delegations += 1
        self.energy_delegated += energy
        return self.world.rent(
            address,
            energy - terms.short_by,
            delay=delivery_delay(terms, self.world.rng) if terms.delivers else length,
            length=terms.early_reclaim or length,
            exact=terms.short_by > 0,
        )


def delivery_delay(terms: Terms, rng: random.Random) -> timedelta:
    least, most = terms.delivery_seconds
    return timedelta(seconds=least if least == most else rng.uniform(least, most))


def money(sun: int, *, as_text: bool = False) -> float | str:
    """An amount of TRX as Netts writes it. The float only carries the decimals into JSON, as the vendor's does."""
    return str(trx(sun)) if as_text else float(trx(sun))


def money_text(sun: int) -> str:
    """TRX with two decimals, as the texts and the older dialects have it."""
    return f"{trx(sun):.2f}"


def stamp(moment: datetime, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """A time stamp as Netts writes it: without a time zone."""
    return moment.strftime(form)


DEFAULT_BALANCE_SUN = 1_000 * SUN_PER_TRX
