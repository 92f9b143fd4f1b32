"""Sun, TRX, energy and durations: read exactly, print shortly.

Money is an integer of sun everywhere (1 TRX = 1,000,000 sun) and never a float. What people and vendors write as TRX is
read as an exact decimal; more than six decimals cannot be paid and is rounded against us where the caller says so,
otherwise refused.
"""

import re
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Context, Decimal, Inexact

SUN_PER_TRX = 1_000_000
MAX_SUN = 10**17
"""More than all TRX there is (about 9.5e16 sun): a greater figure is a fault, not money."""
MAX_DURATION = timedelta(days=366)

_UPWARDS = Context(rounding=ROUND_CEILING)
_EXACT = Context(prec=400, traps=[Inexact])
"""More digits than any text that is read has."""

_DURATION = re.compile(r"(?:(?P<d>\d+)d)?(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+)s)?", re.ASCII)
_MONEY = re.compile(r"(?P<number>[0-9][0-9_]*(?:\.[0-9]+)?)\s*(?P<unit>sun|TRX|trx)", re.ASCII)


def sun_from_trx(value: object) -> int | None:
    """Sun for an amount of TRX as a vendor writes it (number or text); None when it is no exact, sane amount.

    A JSON float such as 2.23 is taken by its shortest text, which is what the vendor wrote. Fractions of a sun are
    rounded up: they can only be a cost.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        sun = _UPWARDS.multiply(Decimal(str(value).strip()), SUN_PER_TRX)
    except (ArithmeticError, ValueError):
        return None
    if not sun.is_finite() or not 0 <= sun <= MAX_SUN:
        return None
    return int(sun.to_integral_value(ROUND_CEILING))


def trx(sun: int) -> Decimal:
    """The exact amount of TRX, without trailing zeros: 2_130_000 -> 2.13."""
    whole, rest = divmod(abs(sun), SUN_PER_TRX)
    digits = f"{rest:06d}".rstrip("0")
    return Decimal(f"{'-' if sun < 0 else ''}{whole}{'.' if digits else ''}{digits}")


def trx_text(sun: int) -> str:
    return f"{trx(sun)} TRX"


def read_money(text: str) -> int:
    """Sun for `60 sun` or `15 TRX`. Raises ValueError with what to write instead."""
    match = _MONEY.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not an amount of money; write it with its unit, such as '15 TRX' or '60 sun'")
    number = Decimal(match["number"].replace("_", ""))
    try:
        sun = _EXACT.multiply(number, 1 if match["unit"] == "sun" else SUN_PER_TRX).to_integral_exact(context=_EXACT)
    except Inexact:
        raise ValueError(f"{text!r} is finer than one sun; one TRX has six decimals") from None
    if sun > MAX_SUN:
        raise ValueError(f"{text!r} is more than all TRX there is")
    return int(sun)


def read_duration(text: str) -> timedelta:
    """A duration such as `90s`, `3m`, `1h30m` or `2d`. Raises ValueError with what to write instead."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not match[0]:
        raise ValueError(f"{text!r} is not a duration; write it like '90s', '3m', '1h30m' or '2d'")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if total > MAX_DURATION.total_seconds():
        raise ValueError(f"{text!r} is longer than a year")
    return timedelta(seconds=total)


def duration_text(duration: timedelta) -> str:
    """The shortest way to write a duration: timedelta(minutes=90) -> 1h30m. Parts of a second are dropped."""
    rest = int(duration.total_seconds())
    sign, rest = ("-" if rest < 0 else ""), abs(rest)
    parts = []
    for letter, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        amount, rest = divmod(rest, size)
        if amount:
            parts.append(f"{amount}{letter}")
    return sign + "".join(parts) if parts else "0s"


def cost_sun(energy: int, price_sun: int) -> int:
    """The cost of renting or burning: one unit of energy costs `price_sun`."""
    return energy * price_sun


def moment_text(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, the form of the log: 2026-11-21T09:30:00.000Z."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
