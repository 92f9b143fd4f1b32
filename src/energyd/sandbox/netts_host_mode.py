"""Host Mode: Netts watches an address and delegates a cycle's energy whenever the address runs low.

A cycle is one delegation of 131,000 energy for 24 hours (September 2025 documents). With no cycles left, delegation
stops silently. Which dialect is spoken is a matter of the terms; what no document shows follows its nearest relative.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from energyd.sandbox import addresses
from energyd.sandbox.asgi import Answer, Request, json_answer
from energyd.sandbox.history import Rental
from energyd.sandbox.netts_books import Books, Received, money, money_text, stamp
from energyd.sandbox.netts_prices import Prices
from energyd.sandbox.netts_terms import Terms
from energyd.sandbox.world import World

_ISO, _ISO_MICRO, _ISO_ZONE = "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M:%SZ"
_DAY = timedelta(days=1)

Body = dict[str, Any]
_Act = Callable[[Body, Received], Answer]


@dataclass(slots=True)
class Hosted:
    """An address in Host Mode."""

    address: str
    threshold: int
    added_at: datetime
    cycles: int = 0
    cycles_used: int = 0
    orders: int = 0
    ordered: list[tuple[datetime, int]] = field(default_factory=list)
    infinite: bool = False
    running: bool = True
    on_the_way: bool = False
    last_refill: datetime | None = None
    rentals: list[Rental] = field(default_factory=list)


def _done(msg: str, data: Body) -> Answer:
    return json_answer({"code": 0, "msg": msg, "data": data})


def _refused(status: int, code: int, msg: str, data: Body | None = None) -> Answer:
    return json_answer({"code": code, "msg": msg, "data": data}, status)


_NOT_HOSTED = _refused(404, -4, "Address not found in Host Mode")
_BAD_ADDRESS = _refused(400, -1, "Invalid TRC-20 address format")
_UNAUTHORISED = _refused(401, -1, "Invalid API key or IP not in whitelist")
_INFINITE = _refused(409, -6, "Cannot buy cycles: There is an open order with infinity cycles for this address")


class HostMode:
    def __init__(self, world: World, terms: Terms, books: Books, prices: Prices) -> None:
        self.world, self.terms, self.books, self.prices = world, terms, books, prices
        self.hosted: dict[str, Hosted] = {}
        self._answers: dict[str, _Act] = {
            "time/add": self._add,
            "time/order": self._order,
            "time/status": self._status,
            "time/infinitystart": self._start_infinity,
            "time/stop": self._stop,
            "time/delete": self._delete,
        }
        world.watchers.append(self._look_after)

    def host(self, address: str, *, cycles: int = 0, threshold: int | None = None) -> Hosted:
        """Puts an address into Host Mode, as `time/add` does; cycles given here cost nothing."""
        known = self.hosted.get(address)
        if known is None:
            known = Hosted(address, threshold or self.terms.threshold, self.world.advance())
            self.hosted[address] = known
        known.cycles += cycles
        known.running = True
        self._look_after(address)
        return known

    def answer(self, endpoint: str, request: Request, received: Received) -> Answer | None:
        """The answer to one of the `time/*` paths; None for a path that is none of them."""
        path_address = ""
        if request.method == "GET" and endpoint.startswith("time/status/"):
            endpoint, _, path_address = endpoint.rpartition("/")
        elif request.method != "POST":
            return None
        act = self._answers.get(endpoint)
        if act is None:
            return None
        body = _object(request.body)
        if not path_address and body is None:
            return json_answer({"detail": [{"type": "json_invalid", "loc": ["body"], "msg": "JSON decode error"}]}, 422)
        body = {"address": path_address} if body is None or path_address else body
        return act(body, received) if self._admits(request, body) else _UNAUTHORISED

    def _admits(self, request: Request, body: Body) -> bool:
        terms, in_header = self.terms, request.header("x-api-key")
        in_body = body.get("api_key")
        keys = {"body": [in_body], "both": [in_body, in_header]}.get(terms.time_dialect, [in_header])
        if request.method == "GET":
            keys = [in_header]
        ip = request.source if terms.check_ip == "source" else request.header("x-real-ip")
        demanded = terms.check_ip == "source" or (terms.check_ip == "header" and terms.time_dialect == "english")
        trusted = terms.check_ip == "off" or ip in terms.whitelist or (ip is None and not demanded)
        return terms.api_key in keys and trusted

    # The daily life of a hosted address

    def _look_after(self, address: str) -> None:
        hosted = self.hosted.get(address)
        if hosted is None or not hosted.running or hosted.on_the_way or not (hosted.infinite or hosted.cycles):
            return
        if self.world.account(address) is None or self.world.available(address) >= hosted.threshold:
            return
        hosted.on_the_way = True
        hosted.cycles_used += 1
        if not hosted.infinite:
            hosted.cycles -= 1
        rental = self.books.delegate(address, self.terms.cycle_energy, self.terms.cycle_length, self.terms)
        hosted.rentals.append(rental)
        self.world.plan(rental.due_at, lambda: self._arrived(hosted))

    def _arrived(self, hosted: Hosted) -> None:
        hosted.on_the_way = False
        hosted.last_refill = self.world.time
        self._look_after(hosted.address)

    def _bill_infinity(self, hosted: Hosted) -> None:
        if hosted.infinite and hosted.running and self.hosted.get(hosted.address) is hosted:
            self.books.charge("infinity", hosted.address, amount=1, cost_sun=self.prices.cycle_sun)
            self.world.plan(self.world.time + _DAY, lambda: self._bill_infinity(hosted))

    # The paths

    def _add(self, body: Body, _: Received) -> Answer:
        address = body.get("address")
        if not addresses.is_address(address):
            return _BAD_ADDRESS
        assert isinstance(address, str)
        threshold = body.get("energy_threshold")
        hosted = self.host(address, threshold=threshold if isinstance(threshold, int) else None)
        msg, dialect = "Address successfully added to Host Mode", self.terms.time_dialect
        if dialect == "header":
            return _done(msg, {"address": address})
        if dialect == "english":
            facts = {"energy_threshold": hosted.threshold, "auto_refill": True}
            created = stamp(hosted.added_at, _ISO_ZONE)
            return _done(msg, {"address": address, "status": "active", **facts, "created_at": created})
        return _done(msg, {"address": address, "timestamp": stamp(self.world.time, _ISO_MICRO)})

    def _order(self, body: Body, received: Received) -> Answer:
        address, cycles = body.get("address"), body.get("cycles")
        refusal = self._refusal(address, cycles, body)
        if refusal:
            return refusal
        assert isinstance(address, str)
        assert isinstance(cycles, int)
        cost = cycles * self.prices.cycle_sun * (100 + self.terms.overcharge_percent) // 100
        if cost > self.books.balance_sun:
            return self._no_funds(cost)
        hosted, number = self.hosted[address], self.books.next_number()
        hosted.cycles += cycles
        hosted.orders += 1
        hosted.ordered.append((self.world.time, cycles))
        order_id = None if self.terms.time_dialect == "header" else str(number)
        self.books.charge("cycles", address, amount=cycles, cost_sun=cost, order_id=order_id, request=received)
        self._look_after(address)
        return self._ordered(hosted, cycles, cost, number)

    def _refusal(self, address: object, cycles: object, body: Body) -> Answer | None:
        least, most = self.terms.cycles_per_order
        old = self.terms.time_dialect in {"header", "english"}
        if not isinstance(address, str) or not addresses.is_address(address):
            return _BAD_ADDRESS
        if not isinstance(cycles, int) or isinstance(cycles, bool) or not least <= cycles <= most:
            text = (
                f"Cycle count must be {least} or more" if cycles != most + 1 else f"Cycle count must be {most} or less"
            )
            return _refused(400, -4, "Invalid cycles value") if old else _refused(400, -1, text)
        if self.terms.time_dialect == "english" and "energy_per_cycle" not in body:
            return _refused(400, -4, "energy_per_cycle is required")
        hosted = self.hosted.get(address)
        if hosted is None:
            return _NOT_HOSTED
        return _INFINITE if hosted.infinite else None

    def _no_funds(self, cost: int) -> Answer:
        if self.terms.time_dialect in {"header", "english"}:
            amounts = {"required": money_text(cost), "available": money_text(self.books.balance_sun)}
            return _refused(400, -3, "Insufficient balance", amounts)
        return _refused(402, -1, "Insufficient balance for order")

    def _ordered(self, hosted: Hosted, cycles: int, cost: int, number: int) -> Answer:
        address, now, text = hosted.address, self.world.time, self.terms.money_as_text
        if self.terms.time_dialect == "header":
            total = {"cycles_ordered": cycles, "new_total_cycles": hosted.cycles, "cost_trx": money_text(cost)}
            data: Body = {"address": address, **total, "order_timestamp": stamp(now, _ISO)}
            return _done("Cycles ordered successfully", data)
        if self.terms.time_dialect == "english":
            data = {"order_id": f"CYCLE{number}", "address": address, "cycles_ordered": cycles}
            return _done("Cycles ordered successfully", data | {"total_cost": money_text(cost)})
        data = {"order_id": number, "address": address, "cycles": cycles, "amount": money(cost, as_text=text)}
        data |= {"status": "active", "timestamp": stamp(now, _ISO_MICRO)}
        return _done("Order created successfully", data)

    def _status(self, body: Body, _: Received) -> Answer:
        wanted = body.get("address")
        if wanted and wanted not in self.hosted:
            return _NOT_HOSTED
        found = [self.hosted[wanted]] if wanted else list(self.hosted.values())
        page, size = body.get("page"), body.get("page_size", 20)
        if isinstance(page, int) and isinstance(size, int):
            found = found[(page - 1) * size : page * size]
        entries = [self._entry(hosted) for hosted in found]
        total = {} if self.terms.time_dialect == "english" else {"total_addresses": len(self.hosted)}
        return _done("Success", {**total, "addresses": entries})

    def _entry(self, hosted: Hosted) -> Body:
        dialect, address = self.terms.time_dialect, hosted.address
        key = self.terms.count_key or {"english": "none", "header": "cycle_set"}.get(dialect, "cycles_remaining")
        late = sum(cycles for at, cycles in hosted.ordered if self.world.time - at < self.terms.count_lag)
        shown = max(hosted.cycles - late, 0)
        count = None if hosted.infinite else str(shown) if self.terms.count_as_text else shown
        counted = {} if key == "none" else {key: count}
        state = "active" if hosted.running else "stopped"
        if dialect == "header":
            return {"address": address, "status": int(hosted.running), **counted}
        if dialect == "english":
            refill = stamp(hosted.last_refill, _ISO_ZONE) if hosted.last_refill else None
            energy = {"current_energy": self.world.available(address), "energy_threshold": hosted.threshold}
            more = {"auto_refill": True, "last_refill": refill, "total_orders": hosted.orders}
            return {"address": address, "status": state, **energy, **more, **counted}
        mode = "infinity" if hosted.infinite else "normal"
        expiry = hosted.rentals[-1].until if hosted.rentals else self.world.time
        more = {"open_orders": int(bool(hosted.cycles)), "expiry_time": int(expiry.timestamp())}
        return {"address": address, "mode": mode, "status": state, **counted, **more}

    def _start_infinity(self, body: Body, _: Received) -> Answer:
        hosted = self.hosted.get(str(body.get("address")))
        if hosted is None:
            return _NOT_HOSTED
        if hosted.infinite:
            return _refused(409, -6, "Infinity mode is already active for this address")
        if self.prices.cycle_sun > self.books.balance_sun:
            return self._no_funds(self.prices.cycle_sun)
        hosted.infinite = True
        self._bill_infinity(hosted)
        self._look_after(hosted.address)
        data = {"address": hosted.address, "infinity_mode": True, "energy_amount": self.terms.cycle_energy}
        data |= {"activated_at": stamp(self.world.time, _ISO_ZONE)}
        return _done(
            "Infinity mode activated successfully", data | {"estimated_daily_cost": money_text(self.prices.cycle_sun)}
        )

    def _stop(self, body: Body, _: Received) -> Answer:
        hosted = self.hosted.get(str(body.get("address")))
        if hosted is None:
            return _NOT_HOSTED
        hosted.running = False
        data = {"address": hosted.address, "status": "stopped"}
        if self.terms.time_dialect == "english":
            energy = {"final_energy": self.world.available(hosted.address)}
            data |= {"stopped_at": stamp(self.world.time, _ISO_ZONE)}
            return _done("Host Mode successfully stopped", data | energy)
        return _done("Host Mode stopped successfully", data | {"stopped_at": stamp(self.world.time, _ISO)})

    def _delete(self, body: Body, _: Received) -> Answer:
        hosted = self.hosted.pop(str(body.get("address")), None)
        if hosted is None:
            return _NOT_HOSTED
        for rental in hosted.rentals:
            self.world.take_back(rental.rental_id)
        data = {"address": hosted.address, "status": "removed", "removed_at": stamp(self.world.time, _ISO_ZONE)}
        return _done("Address successfully removed from Host Mode", data)


def _object(body: bytes) -> Body | None:
    try:
        parsed = json.loads(body)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None
