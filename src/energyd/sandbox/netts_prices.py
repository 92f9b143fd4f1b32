"""Netts' price list: sun for one unit of energy by the hour of the day (UTC), and the price of a Host Mode cycle."""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from energyd.sandbox.netts_books import money, stamp
from energyd.sandbox.world import World

_FIVE_MINUTE_PERCENT = 70


@dataclass(frozen=True, slots=True)
class Period:
    """Hours of the day with one price, from `start` up to `end`; over midnight when `end` is not later."""

    name: str
    start: int
    end: int
    price_sun: int

    def holds(self, moment: datetime) -> bool:
        if self.start < self.end:
            return self.start <= moment.hour < self.end
        return moment.hour >= self.start or moment.hour < self.end

    @property
    def hours(self) -> tuple[str, str]:
        return f"{self.start:02}:00", f"{self.end:02}:00"


PERIODS = (Period("nighttime", 23, 7, 20), Period("daytime", 7, 23, 27))


class Prices:
    def __init__(self, world: World, periods: tuple[Period, ...] = PERIODS, cycle_sun: int = 2_989_000) -> None:
        self.world = world
        self.periods = periods
        self.cycle_sun = cycle_sun

    def set_price(self, price_sun: int) -> None:
        """One price at all hours from now on."""
        self.periods = tuple(replace(period, price_sun=price_sun) for period in self.periods)

    def plan_price(self, at: datetime, price_sun: int) -> None:
        self.world.plan(at, partial(self.set_price, price_sun))

    @property
    def current(self) -> Period:
        return next(period for period in self.periods if period.holds(self.world.time))

    def rent_sun(self, kind: str = "order1h") -> int:
        """The present price of one unit of energy, by the hour or for five minutes."""
        price = self.current.price_sun
        return price if kind == "order1h" else price * _FIVE_MINUTE_PERCENT // 100

    def pricing(self, services: str) -> dict[str, Any]:
        """The answer of GET pricing. The layout of `host` is not publicly known; this one is a guess."""
        known = {
            "energy_1h": self._service("order1h"),
            "energy_5m": self._service("order5m"),
            "host": {"unit": "trx", "pricing_type": "fixed", "price": money(self.cycle_sun)},
        }
        wanted = services.split(",") if services else list(known)
        return {
            "success": True,
            "version": "2.0",
            "timestamp": stamp(self.world.time),
            "data": {"trx_rate_usd": 0.285756, "services": {name: known[name] for name in wanted if name in known}},
        }

    def _service(self, kind: str) -> dict[str, Any]:
        percent = 100 if kind == "order1h" else _FIVE_MINUTE_PERCENT
        periods = [
            {
                "id": period.name,
                "label": f"{period.name.capitalize()} ({'-'.join(period.hours)} UTC)",
                "start": period.hours[0],
                "end": period.hours[1],
                "is_current": period is self.current,
                "price": period.price_sun * percent // 100,
            }
            for period in self.periods
        ]
        return {"unit": "sun", "pricing_type": "dynamic", "current_period": self.current.name, "periods": periods}

    def legacy(self) -> dict[str, Any]:
        """The answer of GET prices."""
        periods = []
        for period in self.periods:
            hours, price = "-".join(period.hours), {"price_sun": period.price_sun}
            bands = {"less_than_200k": price, "equal_131k": price, "more_than_200k": price}
            label = f"{period.name.capitalize()} Hours ({hours} UTC)"
            periods.append({"label": label, "period": hours, "is_active": period is self.current, "prices": bands})
        now = self.world.time
        return {
            "status": "success",
            "current_utc_time": stamp(now),
            "current_utc_hour": now.hour,
            "active_period": "-".join(self.current.hours),
            "last_update": stamp(now),
            "host_price": money(self.cycle_sun),
            "periods": periods,
        }

    def august(self) -> dict[str, Any]:
        """The answer of POST prices, which speaks of packages that nothing else mentions."""
        peak = {"start": "11:00", "end": "21:00", "price_multiplier": 1.2}
        off_peak = {"start": "23:00", "end": "07:00", "price_multiplier": 0.8}
        packages = {"1h": "0.50", "24h": "10.00", "weekly": "65.00", "monthly": "250.00"}
        data = {**packages, "current_period": "peak", "peak_hours": peak, "off_peak_hours": off_peak}
        return {"code": 0, "msg": "Success", "data": data}
