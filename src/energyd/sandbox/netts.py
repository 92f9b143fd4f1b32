"""The HTTP interface of Netts over a World: energy by the hour, Host Mode, prices and the account.

It charges when an order is accepted and delivers a little later. How it speaks, and how it cheats, is set by `terms`;
how single requests go wrong, by `mood`. Answers that no document shows (amounts out of range and malformed addresses in
dialect C, order_check of an unknown order) follow their nearest relatives.
"""

import json
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from energyd.sandbox import addresses
from energyd.sandbox.asgi import (
    BAD_GATEWAY,
    COMMON_MOODS,
    Answer,
    Mood,
    Moods,
    Receive,
    Request,
    Scope,
    Send,
    accept_lifespan,
    json_answer,
    perform,
    read_request,
    reshaped_json,
    send_answer,
)
from energyd.sandbox.history import Rental
from energyd.sandbox.netts_books import (
    DEFAULT_BALANCE_SUN,
    Books,
    Charge,
    Order,
    Received,
    money,
    money_text,
    stamp,
)
from energyd.sandbox.netts_host_mode import HostMode
from energyd.sandbox.netts_prices import Prices
from energyd.sandbox.netts_terms import Terms
from energyd.sandbox.world import World
from energyd.units import cost_sun

Body = dict[str, Any]
_Act = Callable[[Request, Received], Answer]

_ORDER_CODE = 10_000
_NO_PERMISSION = "Invalid API key or IP not in whitelist"
_FIVE_MINUTES = timedelta(minutes=5)
_LIMITED: Body = {"message": "API rate limit exceeded"}


def _without_code(body: Any) -> Any:
    if not isinstance(body, dict):
        return body
    return {key: _without_code(value) for key, value in body.items() if key != "code"}


def _code(status: int, code: int, msg: str) -> Answer:
    return json_answer({"code": code, "msg": msg}, status)


_INTERNAL = _code(500, 5000, "Internal server error occurred")
MOODS = COMMON_MOODS | {
    "charge_then_drop": Mood(drop=True, carried_out=True),
    "charge_then_hang": Mood(wait_after=120.0),
    "late": Mood(wait_before=90.0),
    "internal": Mood(answer=_INTERNAL),
    "charge_then_internal": Mood(answer=_INTERNAL, carried_out=True),
    "charge_then_502": Mood(answer=BAD_GATEWAY, carried_out=True),
    "charge_then_empty": Mood(answer=Answer(200, b""), carried_out=True),
    "unreadable": Mood(answer=Answer(200, b"OK"), carried_out=True),
    "no_code": Mood(reshape=reshaped_json(_without_code)),
    "provider_5001": Mood(answer=_code(503, 5001, "Energy provider temporarily unavailable")),
    "provider_5002": Mood(answer=_code(503, 5002, "Energy provider temporarily unavailable")),
    "unavailable_5003": Mood(
        answer=_code(503, 5003, "Service temporarily unavailable. All energy providers are currently unavailable.")
    ),
    "minimum_5004": Mood(answer=_code(503, 5004, "Energy provider requires higher minimum amount")),
    "database": Mood(answer=json_answer({"code": -1, "msg": "Database error processing order", "data": None}, 500)),
    "rate_limit": Mood(answer=json_answer(_LIMITED, 429, [("Retry-After", "10")])),
    "rate_limit_bare": Mood(answer=json_answer(_LIMITED, 429)),
    "unauthorised": Mood(answer=json_answer({"detail": _NO_PERMISSION}, 401)),
}
"""Moods by name. The endpoint of a mood is the path after /apiv2/, such as `order1h` or `time/order`."""


class Netts:
    """An ASGI application. `terms`, `prices`, `books` and `host_mode` may be read and changed at any time."""

    def __init__(self, world: World, *, balance_sun: int = DEFAULT_BALANCE_SUN, terms: Terms | None = None) -> None:
        self.world = world
        self.terms = terms or Terms()
        self.books = Books(world, balance_sun)
        self.prices = Prices(world)
        self.host_mode = HostMode(world, self.terms, self.books, self.prices)
        self.moods = Moods()
        self._requests = 0
        self._recent: deque[datetime] = deque()
        self._answered: dict[tuple[str, str], Answer] = {}
        self._answers: dict[tuple[str, str], _Act] = {
            ("POST", "order1h"): self._order,
            ("POST", "order5m"): self._order,
            ("GET", "order_check"): self._order_check,
            ("GET", "pricing"): self._pricing,
            ("GET", "prices"): self._prices,
            ("POST", "prices"): self._prices,
            ("GET", "userinfo"): self._userinfo,
            ("POST", "userinfo"): self._userinfo,
        }

    @property
    def charges(self) -> list[Charge]:
        return self.books.charges

    @property
    def received(self) -> deque[Received]:
        return self.books.received

    def mood(self, name: str, endpoint: str = "*", *, times: int | None = None) -> None:
        """Sets one of MOODS by its name, for the next `times` requests or until cleared."""
        self.moods.set(MOODS[name], endpoint, times=times)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await accept_lifespan(receive, send)
            return
        request = await read_request(scope, receive)
        received = self._receive(request)
        mood = self.moods.take(_place(received.endpoint))
        await send_answer(send, await perform(mood, lambda: self._answer(request, received)))

    def _receive(self, request: Request) -> Received:
        body = _object(request.body) or {}
        amount = body.get("amount", body.get("cycles"))
        self._requests += 1
        received = Received(
            at=self.world.advance(),
            request_id=self._requests,
            method=request.method,
            endpoint=request.path.removeprefix("/apiv2/"),
            address=body.get("receiveAddress", body.get("address")),
            amount=amount if isinstance(amount, int) else None,
            idempotency_key=request.header("x-idempotency-key"),
        )
        self.received.append(received)
        return received

    def _answer(self, request: Request, received: Received) -> Answer:
        self.world.advance()
        limited = self._limited()
        if limited:
            return limited
        place = (received.endpoint, received.idempotency_key or "")
        first = self._answered.get(place)
        if first and self._remembers(received):
            return Answer(208, first.body, first.headers)
        charges = len(self.charges)
        answer = self._route(request, received)
        if len(self.charges) > charges and received.idempotency_key:
            self._answered[place] = answer
        return answer

    def _remembers(self, received: Received) -> bool:
        return self.terms.idempotent_cycles if received.endpoint == "time/order" else self.terms.idempotency

    def _limited(self) -> Answer | None:
        if self.terms.pace is None:
            return None
        most, seconds = self.terms.pace
        since = self.world.time - timedelta(seconds=seconds)
        while self._recent and self._recent[0] <= since:
            self._recent.popleft()
        if len(self._recent) < most:
            self._recent.append(self.world.time)
            return None
        wait = int((self._recent[0] - since).total_seconds()) + 1
        return json_answer(_LIMITED, 429, [("Retry-After", str(wait))] if self.terms.retry_after else [])

    def _route(self, request: Request, received: Received) -> Answer:
        if received.endpoint.startswith("time/"):
            answer = self.host_mode.answer(received.endpoint, request, received)
            return answer or json_answer({"detail": "Method Not Allowed"}, 405)
        act = self._answers.get((request.method, received.endpoint))
        if act:
            return act(request, received)
        if any(endpoint == received.endpoint for _, endpoint in self._answers):
            return json_answer({"detail": "Method Not Allowed"}, 405)
        return json_answer({"message": "no Route matched with those values"}, 404)

    def _admits(self, request: Request, *, ip_too: bool = True) -> bool:
        terms = self.terms
        ip = request.source if terms.check_ip == "source" else request.header("x-real-ip")
        trusted = not ip_too or terms.check_ip == "off" or ip in terms.whitelist
        return request.header("x-api-key") == terms.api_key and trusted

    # Energy

    def _order(self, request: Request, received: Received) -> Answer:
        kind, old = received.endpoint, self.terms.order_dialect == "A"
        if not self._admits(request):
            return self._detail(401, -1, _NO_PERMISSION) if old else json_answer({"detail": _NO_PERMISSION}, 401)
        body = _object(request.body) or {}
        amount, address = body.get("amount"), body.get("receiveAddress")
        if not isinstance(amount, int) or isinstance(amount, bool) or not isinstance(address, str):
            field = "receiveAddress" if isinstance(amount, int) else "amount"
            return json_answer({"detail": [{"type": "missing", "loc": ["body", field], "msg": "Field required"}]}, 422)
        refusal = self._refusal(kind, amount, address)
        if refusal:
            return refusal
        price = self.prices.rent_sun(kind)
        activation = 0 if self.world.account(address) else self.terms.activation_fee_sun
        cost = cost_sun(amount, price) * (100 + self.terms.overcharge_percent) // 100 + activation
        if cost > self.books.balance_sun:
            return self._no_funds(cost)
        number, before = self.books.next_number(), self.books.balance_sun
        order_id = f"{self._order_start(kind)}{number}"
        self.books.charge(kind, address, amount=amount, cost_sun=cost, order_id=order_id, request=received)
        if activation:
            self.world.activate(address)
        order = Order(order_id, address, amount, price, cost, activation, self._delegate(kind, address, amount))
        self.books.orders[order_id] = order
        return self._sold_old(order, number, before) if old else self._sold(order)

    def _order_start(self, kind: str) -> str:
        return "5M" if kind == "order5m" else "ORD" if self.terms.order_dialect == "A" else "1H"

    def _delegate(self, kind: str, address: str, amount: int) -> Rental:
        length = _FIVE_MINUTES if kind == "order5m" else self.terms.rental
        buffer = 0 if self.terms.short_by else self.terms.buffer_energy
        return self.books.delegate(address, amount + buffer, length, self.terms)

    def _refusal(self, kind: str, amount: int, address: str) -> Answer | None:
        least, most = self.terms.order_energy if kind == "order1h" else self.terms.order5m_energy
        if amount < least:
            return self._detail(400, -10, f"Minimum energy amount is {least:,}")
        if amount > most:
            return self._detail(400, -11, f"Maximum energy amount is {most:,}")
        if not addresses.is_address(address):
            return self._detail(400, -1, "Invalid TRC-20 address format")
        return None

    def _sold(self, order: Order) -> Answer:
        data = {
            "orderId": order.order_id,
            "paidTRX": money(order.cost_sun, as_text=self.terms.money_as_text),
            "hash": self._hash(order, "string"),
            "delegateAddress": self.world.lender,
            "energy": order.energy + self.terms.buffer_energy,
        }
        msg = f"Successful, {money_text(order.cost_sun)} TRX deducted"
        headers = [("RateLimit-Limit", "50"), ("RateLimit-Remaining", "49"), ("RateLimit-Reset", "1")]
        return json_answer({"detail": {"code": _ORDER_CODE, "msg": msg, "data": data}}, 200, headers)

    def _sold_old(self, order: Order, number: int, balance_before: int) -> Answer:
        text = self.terms.money_as_text
        data = {
            "provider": "energy_provider",
            "orderId": order.order_id,
            "balance": money(balance_before, as_text=text),
            "paidTRX": money(order.cost_sun, as_text=text),
            "hash": self._hash(order, "list"),
            "request_id": number,
            "expiry": stamp(self.world.time + self.terms.rental),
        }
        msg = f"Successfully delegated {order.energy} energy, {money_text(order.cost_sun)} TRX deducted"
        return json_answer({"detail": {"code": _ORDER_CODE, "msg": msg, "data": data}})

    def _hash(self, order: Order, usual: str) -> str | list[str]:
        tx_id = order.rental.tx_id
        forms: dict[str, str | list[str]] = {"list": [f"0x{tx_id}"], "string": tx_id, "empty": "", "pending": "pending"}
        return forms[self.terms.hash_form or usual]

    def _detail(self, status: int, code: int, msg: str) -> Answer:
        return json_answer({"detail": {"code": code, "msg": msg, "data": {}}}, status)

    def _no_funds(self, cost: int) -> Answer:
        required, available = money_text(cost), money_text(self.books.balance_sun)
        if self.terms.order_dialect == "A":
            text = f"Not enough local balance. Required: {required}, Available: {available}"
            return self._detail(400, -2, text)
        return _code(403, 1004, f"Insufficient funds. Required: {required} TRX, Available: {available} TRX")

    def _order_check(self, request: Request, _: Received) -> Answer:
        if not self._admits(request, ip_too=False):
            return _unauthorised()
        order = self.books.orders.get(request.query.get("order_id", ""))
        if order is None:
            return json_answer({"success": False, "code": -1, "msg": "Order not found"}, 404)
        arrived = order.rental.due_at <= self.world.time and order.rental not in self.world.undelivered
        facts = {
            "id": order.order_id,
            "cost": money(order.cost_sun),
            "target_address": order.address,
            "energy": order.energy,
            "rate_sun": order.price_sun,
            "duration": "5m" if order.order_id.startswith("5M") else "1h",
            "tx_hashes": [order.rental.tx_id] if arrived else [],
            "timestamp": stamp(order.rental.ordered_at),
            "comments": "",
        }
        cost = order.activation_sun
        activation = {"cost": money(cost), "tx_hash": order.rental.tx_id} if cost else None
        return json_answer({"success": True, "code": _ORDER_CODE, "order": facts, "activation": activation})

    # Prices and the account

    def _pricing(self, request: Request, _: Received) -> Answer:
        if not self._admits(request):
            return _unauthorised()
        return json_answer(self.prices.pricing(request.query.get("services", "")))

    def _prices(self, request: Request, _: Received) -> Answer:
        if not self._admits(request):
            return _unauthorised()
        return json_answer(self.prices.legacy() if request.method == "GET" else self.prices.august())

    def _userinfo(self, request: Request, _: Received) -> Answer:
        if not self._admits(request):
            return _unauthorised()
        return json_answer(self._account() if request.method == "GET" else self._account_of_august())

    def _account(self) -> Body:
        books, burn = self.books, self.world.burn_price_sun()
        average = books.spent_sun * 100 // books.energy_delegated / 100 if books.energy_delegated else 0
        stats = {
            "balance": money(books.balance_sun, as_text=self.terms.money_as_text),
            "total_delegations": books.delegations,
            "total_energy_delegated": books.energy_delegated,
            "total_trx_spent": money(books.spent_sun, as_text=self.terms.money_as_text),
            "total_deposit": money(books.deposited_sun),
            "avg_rate_sun_energy": average,
            "save_by_netts_percent": round(100 - 100 * average / burn, 2),
            "save_in_dollars": 0,
        }
        return {
            "status": "success",
            "timestamp": stamp(self.world.time),
            "user_id": 6,
            "user_info": {"email": "user@example.com", "name": "Sandbox", "deposit_address": self.world.lender},
            "stats": stats,
            "network_info": {"trx_price": 0.3391, "network_energy_fee": float(burn)},
        }

    def _account_of_august(self) -> Body:
        books = self.books
        running = sum(order.rental.until > self.world.time for order in books.orders.values())
        counts = {"total_orders": len(books.orders), "active_rentals": running}
        calls = {"api_calls_today": len(books.received), "api_limit": 1000}
        data = {"user_id": 6, "username": "sandbox", "balance": money_text(books.balance_sun), **counts, **calls}
        return {"code": 0, "msg": "Success", "data": data}


def _place(endpoint: str) -> str:
    """The endpoint for moods: an address at the end of a path is not part of it."""
    return "time/status" if endpoint.startswith("time/status/") else endpoint


def _unauthorised() -> Answer:
    return json_answer({"status": "error", "code": 401, "message": _NO_PERMISSION}, 401)


def _object(body: bytes) -> Body | None:
    try:
        parsed = json.loads(body)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None
