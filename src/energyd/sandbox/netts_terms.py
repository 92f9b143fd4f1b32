"""What the pretend Netts is like: its dialects, limits, speed and honesty. Every field may be changed at any time."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

API_KEY = "0123456789abcdef0123456789abcdef"
REAL_IP = "203.0.113.7"


@dataclass(slots=True)
class Terms:
    """Defaults are the newest documents' dialects and an honest, quick vendor. Seconds, sun and energy.

    Access: `check_ip` looks at the X-Real-IP header, at the connection's source, or at nothing.

    Dialects: `order_dialect` A is of April 2025, C of September 2025. `time_dialect`: header (Russian, August 2025),
    english (August 2025), body (September 2025), or both, which takes the key anywhere and answers like body.
    `hash_form` and `count_key` None are the dialect's own; the count key `none` leaves the count of cycles out.

    Honesty: `short_by` is missing from a delivery, `early_reclaim` ends a rental after that time, `overcharge_percent`
    comes on top of the quote, `delivers` off takes the money for nothing. Cycles ordered within `count_lag` are not in
    the count yet.
    """

    api_key: str = API_KEY
    whitelist: tuple[str, ...] = (REAL_IP,)
    check_ip: Literal["header", "source", "off"] = "header"

    order_dialect: Literal["A", "C"] = "C"
    time_dialect: Literal["header", "english", "body", "both"] = "both"
    hash_form: Literal["list", "string", "empty", "pending"] | None = None
    money_as_text: bool = False
    count_key: Literal["cycles_remaining", "remaining_cycles", "cycles_left", "cycle_set", "none"] | None = None
    count_as_text: bool = False

    order_energy: tuple[int, int] = (61_000, 3_000_000)
    order5m_energy: tuple[int, int] = (61_000, 650_000)
    cycles_per_order: tuple[int, int] = (1, 100)
    pace: tuple[int, float] | None = None
    retry_after: bool = True

    buffer_energy: int = 50
    activation_fee_sun: int = 1_100_000
    delivery_seconds: tuple[float, float] = (2.0, 2.0)
    rental: timedelta = timedelta(hours=1)
    cycle_energy: int = 131_000
    cycle_length: timedelta = timedelta(hours=24)
    threshold: int = 65_000

    idempotency: bool = False
    idempotent_cycles: bool = False
    short_by: int = 0
    early_reclaim: timedelta | None = None
    overcharge_percent: int = 0
    count_lag: timedelta = timedelta(0)
    delivers: bool = True
