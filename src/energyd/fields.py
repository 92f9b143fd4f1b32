"""The field types of both kinds of file: text in, exact values out, each with its JSON Schema.

A type accepts exactly what its schema accepts, as far as a schema can say it; what a schema cannot say (a base58
checksum, the name of a time zone) is checked here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo

import base58
from apscheduler.triggers.cron import CronTrigger
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from energyd import units

T = TypeVar("T")

MAX_ENERGY = 180_000_000_000
"""All energy that the whole network gives in a day (tron-energy: `TotalEnergyLimit`)."""


class Shape(BaseModel):
    """A mapping in a file: frozen, and an unknown key is a fault."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)


listed = BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)
"""Lists of a file become tuples, so that a policy is frozen all through."""


def _reader(kind: type[T], read: Callable[[str], T], example: str) -> BeforeValidator:
    """Reads text; a finished value is let through, so that a model can also be built from Python."""

    def check(value: object) -> T:
        if isinstance(value, kind) and not isinstance(value, str):
            return value
        if not isinstance(value, str):
            raise ValueError(f"{value!r} is not understood here; write it like {example}")
        return read(value)

    return BeforeValidator(check)


def _schema(pattern: str, description: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": "string", "pattern": pattern, "description": description, "examples": list(examples)}
    )


# --- money, time, energy ------------------------------------------------------------------------------------------

Money = Annotated[
    int,
    BeforeValidator(lambda value: units.read_money(value) if isinstance(value, str) else _without_unit(value)),
    _schema(
        r"^\s*[0-9][0-9_]*(\.[0-9]+)?\s*(sun|TRX|trx)\s*$",
        "an amount of money with its unit",
        "15 TRX",
        "60 sun",
    ),
]
"""Sun, written with its unit. Parts of a sun are refused."""


def _without_unit(value: object) -> int:
    raise ValueError(f"{value!r} has no unit; write '{value} TRX' or '{value} sun'")


Duration = Annotated[
    timedelta,
    _reader(timedelta, units.read_duration, "'90s', '3m', '1h30m' or '2d'"),
    _schema(
        r"^\s*(?=[0-9])([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?\s*$",
        "a length of time",
        "90s",
        "3m",
        "1h30m",
        "2d",
    ),
]


def at_least(seconds: int) -> AfterValidator:
    """A duration that must not be shorter."""

    def check(value: timedelta) -> timedelta:
        if value < timedelta(seconds=seconds):
            raise ValueError(f"{units.duration_text(value)} is too short; write at least '{seconds}s'")
        return value

    return AfterValidator(check)


def _energy(value: object) -> int:
    if isinstance(value, str) and re.fullmatch(r"[0-9][0-9_]*", value, re.ASCII):
        value = int(value.replace("_", ""))
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{value!r} is not an amount of energy; write a whole number such as 65_000")
    if not 0 <= value <= MAX_ENERGY:
        raise ValueError(f"{value} is outside 0 to {MAX_ENERGY}, all energy of the network")
    return value


Energy = Annotated[
    int,
    BeforeValidator(_energy),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": MAX_ENERGY},
                {"type": "string", "pattern": "^[0-9][0-9_]*$"},
            ],
            "description": "energy, a whole number; underscores are allowed",
            "examples": [65000, 131000],
        }
    ),
]


def _percent(text: str) -> Decimal:
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*%\s*", text, re.ASCII)
    if match is None:
        raise ValueError(f"{text!r} is not a share; write it like '5%'")
    return Decimal(match[1])


Percent = Annotated[
    Decimal, _reader(Decimal, _percent, "'5%'"), _schema(r"^\s*[0-9]+(\.[0-9]+)?\s*%\s*$", "a share", "5%")
]

# --- prices ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PriceLimit:
    """The most that one unit of energy may cost: in sun, or as a share of what burning costs."""

    sun: int | None = None
    burn_percent: Decimal | None = None

    def in_sun(self, burn_sun: int | None) -> Decimal | None:
        """The limit in sun; None when it hangs on a burn price that is not known."""
        if self.sun is not None:
            return Decimal(self.sun)
        if burn_sun is None or self.burn_percent is None:
            return None
        return burn_sun * self.burn_percent / 100

    def __str__(self) -> str:
        return f"{self.sun} sun" if self.burn_percent is None else f"{self.burn_percent}% of burn"


def read_price_limit(text: str) -> PriceLimit:
    share = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*%\s+of\s+burn\s*", text, re.ASCII)
    if share is not None:
        return PriceLimit(burn_percent=Decimal(share[1]))
    if not re.fullmatch(r"\s*[0-9][0-9_]*\s*sun\s*", text, re.ASCII):
        raise ValueError(f"{text!r} is not a price for a unit of energy; write '80% of burn' or '60 sun'")
    return PriceLimit(sun=units.read_money(text))


PriceCap = Annotated[
    PriceLimit,
    _reader(PriceLimit, read_price_limit, "'80% of burn' or '60 sun'"),
    _schema(
        r"^\s*([0-9]+(\.[0-9]+)?\s*%\s+of\s+burn|[0-9][0-9_]*\s*sun)\s*$",
        "the most that one unit of energy may cost",
        "80% of burn",
        "60 sun",
    ),
]

# --- addresses and names --------------------------------------------------------------------------------------------

ADDRESS_PATTERN = r"^T[1-9A-HJ-NP-Za-km-z]{33}$"
_MAINNET_BYTE = 0x41


def read_address(text: str) -> str:
    """A base58check TRON address. Raises ValueError with what is wrong with it."""
    if len(text) != 34:  # noqa: PLR2004 - the length of every TRON address in base58check
        raise ValueError(f"{text!r} has {len(text)} characters; a TRON address has 34")
    if not re.fullmatch(ADDRESS_PATTERN, text, re.ASCII):
        raise ValueError(f"{text!r} is not a TRON address: it starts with T and has no 0, O, I or l")
    try:
        body = base58.b58decode_check(text)
    except ValueError:
        raise ValueError(f"{text!r} has a wrong checksum: a character is mistyped; copy the address again") from None
    if len(body) != 21 or body[0] != _MAINNET_BYTE:  # noqa: PLR2004 - one prefix byte and the 20 of the account
        raise ValueError(f"{text!r} is not a TRON address")
    return text


Address = Annotated[
    str,
    _reader(str, read_address, "TQn9Y2khEsLJW1ChVWFMSMeRDow5KcbLSE"),
    _schema(ADDRESS_PATTERN, "a TRON address in base58check", "TQn9Y2khEsLJW1ChVWFMSMeRDow5KcbLSE"),
]

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"


def _name(text: str) -> str:
    if not re.fullmatch(NAME_PATTERN, text, re.ASCII):
        raise ValueError(f"{text!r} is not a name; use up to 63 letters, digits, '-', '_' and '.'")
    return text


Name = Annotated[str, _reader(str, _name, "payouts"), _schema(NAME_PATTERN, "a short name", "payouts")]

# --- calendar -------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def read_timezone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{text!r} is not a time zone; write it like 'Europe/Berlin' or 'UTC'") from None


Timezone = Annotated[
    ZoneInfo,
    _reader(ZoneInfo, read_timezone, "'Europe/Berlin'"),
    _schema(r"^[A-Za-z0-9_+/-]+$", "a time zone of the IANA list", "Europe/Berlin", "UTC"),
]


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """Minutes since midnight, 0 to 1440; 24:00 is the end of the day."""

    minutes: int

    def __str__(self) -> str:
        return f"{self.minutes // 60:02d}:{self.minutes % 60:02d}"

    def as_time(self) -> time:
        return time(self.minutes // 60 % 24, self.minutes % 60)


_TIME_PATTERN = r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"


def _time_of_day(text: str) -> TimeOfDay:
    if not re.fullmatch(_TIME_PATTERN, text, re.ASCII):
        raise ValueError(f"{text!r} is not a time of day; write it like '08:00'")
    hours, minutes = text.split(":")
    return TimeOfDay(int(hours) * 60 + int(minutes))


Clock = Annotated[
    TimeOfDay,
    _reader(TimeOfDay, _time_of_day, "'08:00'"),
    _schema(_TIME_PATTERN, "a time of day", "08:00", "24:00"),
]

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = "(mon|tue|wed|thu|fri|sat|sun)"
_DAYS_PATTERN = rf"^({_DAY}(-{_DAY})?)(\s*,\s*{_DAY}(-{_DAY})?)*$"


def _days(text: str) -> frozenset[int]:
    if not re.fullmatch(_DAYS_PATTERN, text, re.ASCII):
        raise ValueError(f"{text!r} names no days; write 'mon-fri', 'sat,sun' or 'mon'")
    days: set[int] = set()
    for part in re.split(r"\s*,\s*", text):
        first, _, last = part.partition("-")
        start, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
        days.update((start + step) % 7 for step in range((end - start) % 7 + 1))
    return frozenset(days)


Days = Annotated[
    frozenset[int],
    _reader(frozenset, _days, "'mon-fri'"),
    _schema(_DAYS_PATTERN, "days of the week; Monday is 0", "mon-fri", "sat,sun"),
]


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(f"{text!r} is not a moment with its offset; write it like '2026-12-24T09:00:00+01:00' or '…Z'")
    return moment


Moment = Annotated[
    datetime,
    _reader(datetime, _moment, "2026-12-24T09:00:00+01:00"),
    _schema(
        r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+(Z|[+-][0-9]{2}:?[0-9]{2})$",
        "a moment with its offset from UTC",
        "2026-12-24T09:00:00+01:00",
    ),
]

_CRON_FIELDS = 5


def cron_trigger(expression: str, timezone: ZoneInfo) -> CronTrigger:
    """The trigger of a five-field crontab line. Raises ValueError with what is wrong.

    APScheduler counts the days of the week from Monday = 0, crontab(5) from Sunday = 0, so numbers are turned into
    names before APScheduler sees them.
    """
    fields = expression.split()
    if len(fields) != _CRON_FIELDS:
        raise ValueError(
            f"{expression!r} has {len(fields)} fields; cron has five: minute hour day month weekday, like '0 9 * * fri'"
        )
    minute, hour, day, month, weekday = fields
    if not day.startswith("*") and not weekday.startswith("*"):
        raise ValueError(
            f"{expression!r} names a day of the month and a day of the week, which programs read differently; "
            "write two planned calls"
        )
    try:
        return CronTrigger(
            minute=minute,
            hour=hour,
            day=day,
            month=month,
            day_of_week=_named_days(weekday),
            timezone=timezone,
        )
    except (ValueError, TypeError, IndexError) as error:
        raise ValueError(f"{expression!r} is not a cron expression ({error}); write it like '0 9 * * fri'") from None


def _named_days(weekday: str) -> str:
    """Crontab's numbers (0 and 7 are Sunday) as names; a range that runs over Sunday is written out."""

    def number(text: str) -> int:
        text = text.lower()
        if text in WEEKDAYS:
            return WEEKDAYS.index(text)
        if not re.fullmatch(r"[0-7]", text):
            raise ValueError(f"{text!r} is no day of the week")
        return (int(text) - 1) % 7

    if weekday == "*" or weekday.startswith("*/"):
        return ",".join(WEEKDAYS[number(str(n))] for n in range(0, 7, _step(weekday.partition("/")[2])))
    days: list[str] = []
    for part in weekday.split(","):
        span, _, every = part.partition("/")
        first, _, last = span.partition("-")
        start = number(first)
        length = (number(last) - start) % 7 if last else (6 - start if every else 0)
        days += [WEEKDAYS[(start + n) % 7] for n in range(0, length + 1, _step(every))]
    return ",".join(sorted(set(days), key=WEEKDAYS.index))


def _step(text: str) -> int:
    if not text:
        return 1
    if not re.fullmatch(r"[1-7]", text):
        raise ValueError(f"{text!r} is no step of days")
    return int(text)


def _cron(text: str) -> str:
    cron_trigger(text, ZoneInfo("UTC"))
    return " ".join(text.split())


Cron = Annotated[
    str,
    _reader(str, _cron, "'0 9 * * fri'"),
    _schema(r"^\s*\S+\s+\S+\s+\S+\s+\S+\s+\S+\s*$", "minute hour day month weekday", "0 9 * * fri"),
]
