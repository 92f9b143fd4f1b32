"""The field types of both kinds of file: text in, exact values out, each with its JSON Schema.

A type accepts exactly what its schema accepts, as far as a schema can say it; what a schema cannot say (a base58
checksum, the name of a time zone) is checked here.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo, available_timezones

import base58
from annotated_types import GroupedMetadata
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from energyd import units

if TYPE_CHECKING:
    from apscheduler.triggers.cron import CronTrigger

T = TypeVar("T")

LONGEST_TEXT = 200
"""Characters; no value that is read from text is longer, and a fault that quotes one stays readable."""

MAX_ENERGY = 180_000_000_000
"""All energy that the whole network gives in a day (tron-energy: `TotalEnergyLimit`)."""


class Shape(BaseModel):
    """A mapping in a file: frozen, and an unknown key is a fault."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)


class FaultAtKey(ValueError):
    """What is wrong with a mapping as a whole, and the key at which a person would look for it."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


def shown(value: object) -> str:
    """A value in a sentence, as its writer would recognise it."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "nothing"}[value]
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = repr(value)
    return text if len(text) <= LONGEST_TEXT else f"{text[:40]}…"


def _frozen(value: object) -> object:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


listed = BeforeValidator(_frozen)
"""Lists of a file become tuples, so that a policy is frozen all through."""


def _reader(kind: type[T], read: Callable[[str], T], example: str) -> BeforeValidator:
    """Reads text; a finished value is let through, so that a model can also be built from Python."""

    def check(value: object) -> T:
        if isinstance(value, kind) and not isinstance(value, str):
            return value
        if kind is str and isinstance(value, int):
            raise ValueError(f'{shown(value)} is not text; put it in quotes: "{shown(value)}"')
        if not isinstance(value, str):
            raise ValueError(f"{shown(value)} is not understood here; write it like {example}")
        if len(value) > LONGEST_TEXT:
            raise ValueError(f"a text of {len(value)} characters is not understood here; write it like {example}")
        return read(value)

    return BeforeValidator(check)


def _schema(pattern: str, description: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": "string", "pattern": pattern, "description": description, "examples": list(examples)}
    )


# --- text, switches, whole numbers ----------------------------------------------------------------------------------


def _text(value: object) -> object:
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        raise ValueError(f'{shown(value)} is not text; put it in quotes: "{shown(value)}"')
    raise ValueError(f"{shown(value)} is not text; write a text")


Text = Annotated[str, BeforeValidator(_text)]


def _label(text: str) -> str:
    if not text.isprintable():
        raise ValueError("the label has a sign that cannot be printed; write one line of plain signs")
    return text


Label = Annotated[Text, AfterValidator(_label)]

_SWITCH = {"true": True, "false": False}
_OTHER_WORDS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


def _switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in _SWITCH:
        return _SWITCH[value]
    meant = _OTHER_WORDS.get(value.lower(), "true or false") if isinstance(value, str) else "true or false"
    raise ValueError(f"{shown(value)} is neither true nor false; write {meant}")


Switch = Annotated[bool, BeforeValidator(_switch), WithJsonSchema({"enum": [True, False, "true", "false"]})]

_DIGITS = r"(0|[1-9][0-9]*(_[0-9]+)*)"


def _whole(value: object, what: str, low: int, high: int, example: int) -> int:
    if isinstance(value, str) and len(value) <= LONGEST_TEXT and re.fullmatch(_DIGITS, value, re.ASCII):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{shown(value)} is not {what}; write a whole number such as {example}")
    if not low <= value <= high:
        raise ValueError(f"{shown(value)} is out of range; write {what} from {low} to {high}")
    return value


@dataclass(frozen=True, slots=True)
class Whole(GroupedMetadata):
    """The checks of a whole number from `low` to `high`, for use in Annotated; `what` names it in a fault."""

    what: str
    low: int
    high: int
    example: int

    def __iter__(self) -> Iterator[object]:
        forms = [
            {"type": "integer", "minimum": self.low, "maximum": self.high},
            {"type": "string", "pattern": f"^{_DIGITS}$"},
        ]
        yield BeforeValidator(lambda value: _whole(value, self.what, self.low, self.high, self.example))
        yield WithJsonSchema({"anyOf": forms, "description": f"{self.what}, from {self.low} to {self.high}"})


# --- money, time, energy ------------------------------------------------------------------------------------------


def _money(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(f"{shown(value)} has no unit; write '{value} TRX' or '{value} sun'")
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise ValueError(f"{shown(value)} is not an amount of money; write it like '15 TRX' or '60 sun'")
    return units.read_money(value)


Money = Annotated[
    int,
    BeforeValidator(_money),
    _schema(
        r"^\s*[0-9][0-9_]*(\.[0-9]+)?\s*(sun|TRX|trx)\s*$",
        "an amount of money with its unit",
        "15 TRX",
        "60 sun",
    ),
]
"""Sun, written with its unit. Parts of a sun are refused."""

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


def at_most(longest: timedelta, why: str) -> AfterValidator:
    """A duration that must not be longer, and why."""

    def check(value: timedelta) -> timedelta:
        if value > longest:
            text = units.duration_text
            raise ValueError(f"{text(value)} is too long: {why}; write at most '{text(longest)}'")
        return value

    return AfterValidator(check)


Energy = Annotated[int, Whole("an amount of energy", 0, MAX_ENERGY, 65_000)]


def _auto_energy(value: object) -> object:
    return value if value == "auto" else _whole(value, "an amount of energy or auto", 1, MAX_ENERGY, 65_000)


AutoEnergy = Annotated[
    int | Literal["auto"],
    BeforeValidator(_auto_energy),
    WithJsonSchema(
        {
            "anyOf": [
                {"const": "auto"},
                {"type": "integer", "minimum": 1, "maximum": MAX_ENERGY},
                {"type": "string", "pattern": f"^{_DIGITS}$"},
            ],
            "description": "energy of one call; auto asks the node",
        }
    ),
]


MAX_PERCENT = 1000


def _percent(text: str) -> Decimal:
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*%\s*", text, re.ASCII)
    if match is None:
        raise ValueError(f"{text!r} is not a share; write it like '5%'")
    share = Decimal(match[1])
    if share > MAX_PERCENT:
        raise ValueError(f"{text!r} is too much; write at most '{MAX_PERCENT}%'")
    return share


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
    share = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?\s*%)\s+of\s+burn\s*", text, re.ASCII)
    if share is not None:
        return PriceLimit(burn_percent=_percent(share[1]))
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

_FUNCTION_PATTERN = r"^[A-Za-z_$][A-Za-z0-9_$]*\([A-Za-z0-9,()\[\]]*\)$"


def _function(text: str) -> str:
    if not re.fullmatch(_FUNCTION_PATTERN, text, re.ASCII):
        raise ValueError(f"{text!r} is not a function of a contract; write it like 'transfer(address,uint256)'")
    return text


Function = Annotated[
    str,
    _reader(str, _function, "'transfer(address,uint256)'"),
    _schema(_FUNCTION_PATTERN, "a function of the contract, with its types", "transfer(address,uint256)"),
]


def _argument(value: object) -> object:
    if isinstance(value, str | int):
        return value
    if isinstance(value, tuple):
        return tuple(_argument(item) for item in value)
    raise ValueError(
        f"{shown(value)} is no argument of a contract; write a text, a number, true, false, or a list of these"
    )


Argument = Annotated[
    Any, BeforeValidator(_argument), WithJsonSchema({"type": ["string", "number", "boolean", "array"]})
]

# --- calendar -------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def read_timezone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        near = get_close_matches(text, [name for name in available_timezones() if "/" in name], n=1)
    meant = f"did you mean '{near[0]}'?" if near else "write it like 'Europe/Berlin' or 'UTC'"
    raise ValueError(f"{text!r} is not a time zone; {meant}")


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


_MOMENT_PATTERN = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})$"
)


def _moment(text: str) -> datetime:
    if re.fullmatch(_MOMENT_PATTERN, text, re.ASCII):
        try:
            return datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValueError(f"{text!r} is a moment that no calendar has; correct its date, time or offset") from None
    raise ValueError(f"{text!r} is not a moment with its offset; write it like '2026-12-24T09:00:00+01:00' or '…Z'")


Moment = Annotated[
    datetime,
    _reader(datetime, _moment, "2026-12-24T09:00:00+01:00"),
    _schema(_MOMENT_PATTERN, "a moment with its offset from UTC", "2026-12-24T09:00:00+01:00"),
]


@dataclass(frozen=True, slots=True)
class _CronField:
    """One of the five fields of a crontab line: its name, its smallest and largest number, and names for numbers."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    cycle: int = 0
    """The length of the circle when a range may run over its end, as days of the week do."""

    def numbers(self, text: str) -> list[int]:
        """Every number that `text` stands for, sorted. Raises ValueError with what is wrong."""
        found = {number for part in text.split(",") for number in self._part(part)}
        return sorted({number % self.cycle for number in found} if self.cycle else found)

    def _part(self, part: str) -> range:
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        if span == "*":
            start, end = self.low, self.low + self.cycle - 1 if self.cycle else self.high
        else:
            start = self._number(first)
            end = self._number(last) if dash else start
        if slash and span != "*" and not dash:
            raise ValueError(f"{self.name} {part!r} needs a range before the step, like '{start}-{self.high}/{step}'")
        if end < start and not self.cycle:
            raise ValueError(f"{self.name} {part!r} runs backwards; write '{start}-{self.high},{self.low}-{end}'")
        return range(start, (end if end >= start else end + self.cycle) + 1, self._step(step) if slash else 1)

    def _number(self, text: str) -> int:
        if text.lower() in self.names:
            return self.names.index(text.lower()) + self.low
        if not re.fullmatch(r"[0-9]{1,2}", text, re.ASCII) or not self.low <= int(text) <= self.high:
            names = f", or {self.names[0]} to {self.names[-1]}" if self.names else ""
            raise ValueError(f"{self.name} {text!r} is not understood; write {self.low} to {self.high}{names}")
        return int(text)

    def _step(self, text: str) -> int:
        most = self.cycle or self.high
        if not re.fullmatch(r"[0-9]{1,2}", text, re.ASCII) or not 1 <= int(text) <= most:
            raise ValueError(f"{self.name} step {text!r} is not understood; write 1 to {most}")
        return int(text)


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_SUNDAY_FIRST = (*WEEKDAYS[-1:], *WEEKDAYS[:-1])
_CRON_FIELDS = (
    _CronField("minute", 0, 59),
    _CronField("hour", 0, 23),
    _CronField("day", 1, 31),
    _CronField("month", 1, 12, _MONTHS),
    _CronField("weekday", 0, 7, _SUNDAY_FIRST, cycle=7),
)


def _cron_numbers(expression: str) -> list[list[int]]:
    """Minutes, hours, days, months and weekdays (Sunday = 0) of a crontab line, each sorted."""
    fields = expression.split()
    if len(fields) != len(_CRON_FIELDS):
        raise ValueError(
            f"{expression!r} has {len(fields)} of the five fields minute hour day month weekday; "
            "write it like '0 9 * * fri'"
        )
    if not fields[2].startswith("*") and not fields[4].startswith("*"):
        raise ValueError(
            f"{expression!r} names a day of the month and a day of the week, which programs read differently; "
            "write two planned calls"
        )
    numbers = [field.numbers(text) for field, text in zip(_CRON_FIELDS, fields, strict=True)]
    if min(numbers[2]) > max(_LONGEST_MONTHS[month - 1] for month in numbers[3]):
        raise ValueError(f"{expression!r} never happens; no such month has a day {min(numbers[2])}")
    return numbers


def cron_trigger(expression: str, timezone: ZoneInfo) -> "CronTrigger":
    """The trigger of a five-field crontab line. Raises ValueError with what is wrong.

    A field is `*`, a number, a range `1-5` or a list of these, with a step after `*` or a range; months and days have
    names too. APScheduler counts the days of the week from Monday = 0, crontab(5) from Sunday = 0 or 7, so it is given
    the days' names.
    """
    from apscheduler.triggers.cron import CronTrigger  # noqa: PLC0415 - slow to import; most commands need no calendar

    minutes, hours, days, months, weekdays = _cron_numbers(expression)
    return CronTrigger(
        minute=_joined(minutes),
        hour=_joined(hours),
        day=_joined(days),
        month=_joined(months),
        day_of_week=_joined([_SUNDAY_FIRST[number] for number in weekdays]),
        timezone=timezone,
    )


def _joined(parts: Iterable[object]) -> str:
    return ",".join(map(str, parts))


def _cron(text: str) -> str:
    _cron_numbers(text)
    return " ".join(text.split())


Cron = Annotated[
    str,
    _reader(str, _cron, "'0 9 * * fri'"),
    _schema(r"^\s*\S+\s+\S+\s+\S+\s+\S+\s+\S+\s*$", "minute hour day month weekday", "0 9 * * fri"),
]
