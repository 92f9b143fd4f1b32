"""The answers, as the OpenAPI page describes them. The rows themselves are built in rows.py and telemetry.py."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, WithJsonSchema

Moment = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Trx = Annotated[float, WithJsonSchema({"type": "number", "description": "TRX, with every digit"})]
Sun = Annotated[int, WithJsonSchema({"type": "integer", "description": "sun for one unit or cycle"})]


class Answer(BaseModel):
    """What is answered has these fields and no others; what is not known is null."""

    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """What is wrong, and what to do instead."""

    error: str
    hint: str | None


class Health(Answer):
    status: str
    version: str


class Readiness(Answer):
    ready: bool
    policies: str
    node: str
    ledger: str


class Order(Answer):
    policy: str
    address: str
    order_key: str
    netts_order_id: str | None
    energy: int | None
    cycles: int | None
    cost_trx: Trx
    """What was charged, or until that is known the most it can be."""
    http_status: int | None
    outcome: str | None
    state: str
    decision_id: str
    kind: str
    intended_at: Moment
    sent_at: Moment | None
    delivered_at: Moment | None
    until: Moment | None


class Hosted(Answer):
    address: str
    label: str | None
    policy: str
    known: str
    cycles: int | None
    key: str | None
    """The key of Netts' answer under which the count stands."""
    read_at: Moment | None
    unchanged_since: Moment | None
    a_cycle_lasts: str | None
    """How long one has lasted of late."""
    left: str | None
    """And all of them."""
    ordered: int
    """Cycles that Netts took an order for and that are not in the count yet."""
    detail: str | None


class HostKey(Answer):
    key: str
    doubt: str | None
    """Why the count under it is not believed."""


class HostActed(Answer):
    address: str
    act: str
    at: Moment
    ended_at: Moment | None
    outcome: str | None


class HostMode(Answer):
    at: Moment
    addresses: list[Hosted]
    keys: list[HostKey]
    acts: list[HostActed]
    cycle_price_trx: Trx | None


class Call(Answer):
    policy: str
    address: str
    call: str
    call_id: str
    energy: int | None
    needed_by: Moment
    at: Moment
    fee_limit_trx: Trx | None
    """The least that its dearest transaction must allow, at what burning costs now."""
    detail: str | None
    state: str
    origin: str
    until: Moment
    used: int
    covered_at: Moment | None


class PricedCall(Call):
    cost_trx: Trx | None
    """What the energy that it still needs would cost now."""


class Pause(Answer):
    policy: str | None
    address: str | None
    since: Moment
    until: Moment | None
    reason: str | None


class Resumed(Answer):
    policy: str | None
    address: str | None
    resumed: bool


class Decision(BaseModel):
    """The fields of the event `decision` that are known."""

    at: Moment
    policy: str
    address: str
    decision_id: str
    action: str
    reason: str


class Need(Answer):
    energy: int
    from_at: Moment
    until_at: Moment | None
    reason: str
    call: str
    is_covered: bool


class Source(Answer):
    what: str
    energy: int
    until_at: Moment | None


class Guard(Answer):
    reason: str
    passed: bool
    figure: str
    limit: str


class WholeDecision(Decision):
    needs: list[Need]
    sources: list[Source]
    guards: list[Guard]


class Address(Answer):
    address: str
    label: str | None
    policy: str
    floor: int | None
    available: int | None
    in_flight: int | None
    decided_at: Moment | None
    action: str | None
    reason: str | None
    detail: str | None
    cycles: int | None
    cycles_reason: str | None
    cycles_detail: str | None
    orders: list[Order]
    calls: list[Call]
    pauses: list[Pause]


class WholeAddress(Address):
    decision: WholeDecision | None


class Spending(Answer):
    policy: str
    spent_hour_trx: Trx
    spent_day_trx: Trx
    budget_hour_trx: Trx | None
    budget_day_trx: Trx | None


class Alert(Answer):
    alert: str
    subject: str | None
    summary: str
    since: Moment


class Addresses(Answer):
    at: Moment
    addresses: list[Address]
    policies: list[Spending]
    alerts: list[Alert]


class Totals(Answer):
    """Of all addresses; `day` is the last 24 hours."""

    addresses: int
    need_attention: int
    spent_day_sun: int
    rentals_day_sun: int
    """What of it was for energy."""
    rented_day: int
    burning_day_sun: int | None
    """What burning as much energy would cost now."""
    rent_price_sun: Sun | None
    burn_price_sun: Sun | None
    cycle_price_sun: Sun | None
    balance_sun: int | None
    balance_read_at: Moment | None
    runway_seconds: int | None
    """How long the balance lasts at the spending of the last day."""


class Budget(Answer):
    policy: str
    is_observed: bool
    spent_hour_sun: int
    spent_day_sun: int
    budget_hour_sun: int | None
    budget_day_sun: int | None


class DrawnDecision(Answer):
    at: Moment
    address: str
    policy: str
    kind: str
    action: str
    reason: str
    sentence: str
    """Its detail, or else what the reason means."""
    bought: int | None
    """Energy, or cycles where that is its kind; null when it buys nothing."""
    cost_sun: int | None


class DrawnOrder(Answer):
    kind: str
    state: str
    energy: int | None
    cycles: int | None
    cost_sun: int
    """What was charged, or until that is known the most it can be."""
    is_charged: bool
    from_at: Moment
    until_at: Moment | None


class DrawnCall(Answer):
    call: str
    state: str
    energy: int | None
    needed_by: Moment
    at: Moment
    until_at: Moment
    covered_at: Moment | None


class DrawnCycles(Answer):
    known: str
    remaining: int | None
    min_cycles: int | None
    min_left: str | None
    top_up_to: int
    read_at: Moment | None
    decision: DrawnDecision | None


class DrawnAddress(Answer):
    address: str
    label: str | None
    policy: str
    floor: int | None
    target: int | None
    needs_attention: bool
    available: int | None
    in_flight: int | None
    demand: int | None
    gap: int | None
    decision: DrawnDecision | None
    cycles: DrawnCycles | None
    paused: Pause | None
    drawn: str
    """What the time line is of: energy, or cycles where a policy sees to nothing else."""
    lowest: list[int | None]
    """The least in each stretch of the day since `day_from`; null where nothing is known."""
    unread: list[int]
    """The places in `lowest` of stretches in which a reading failed."""
    below: list[int]
    """The places of stretches with less than the floor, where so much had to be there."""
    orders: list[DrawnOrder]
    calls: list[DrawnCall]


class DrawnAlert(Alert):
    todo: str
    """What to do about it."""


class Overview(Answer):
    at: Moment
    version: str
    mode: str
    began_at: Moment
    day_from: Moment
    stretch_seconds: int
    totals: Totals
    found: int
    """How many addresses are asked for; one sheet of them is here."""
    sheet: int
    sheets: int
    addresses: list[DrawnAddress]
    policies: list[Budget]
    """Those of the addresses that are here."""
    decisions: list[DrawnDecision]
    """The newest of all addresses that changed something, newest first."""
    pauses: list[Pause]
    alerts: list[DrawnAlert]


class Ensured(Answer):
    ok: bool
    reason: str | None
    call: PricedCall


class Reloaded(Answer):
    digest: str
    added: list[str]
    removed: list[str]
    changed: list[str]
    detail: str | None


def answers(
    good: type[BaseModel] | type[list[Any]] | None, *problems: int, status: int = 200, text: str = ""
) -> dict[int | str, Any]:
    """The answers of a route, for the OpenAPI page: the good one, those of every route, and further problems."""
    statuses: tuple[int | str, ...] = (401, 403, 413, 422, 500, 503, *problems)
    described: dict[int | str, Any] = {status: {"description": text} if good is None else {"model": good}}
    return described | {each: {"model": Problem} for each in statuses}
