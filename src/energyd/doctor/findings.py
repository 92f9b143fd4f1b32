"""What the facts mean: for each one finding with its state, what was found, and what to do. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from energyd import __version__, units
from energyd.chain import Head
from energyd.errors import ChainUnavailable, NettsUnavailable
from energyd.model import (
    Cycles,
    CyclesKnown,
    Estimate,
    Funds,
    NoEstimate,
    NoReading,
    OrderLimits,
    Prices,
    Reading,
    Reason,
)
from energyd.policy import Policy

CLOCK_BEHIND = timedelta(seconds=2)
"""A block's time is at most this far ahead of a clock that is right."""
HEAD_LATE = timedelta(seconds=12)
"""Blocks come every 3 seconds; some may be missed."""
FREE_MIN = 50 * 2**20
"""Bytes: below this the next write may fail."""
FREE_WELL = 500 * 2**20
OTHERS = 0o077
RUNS_NO_CALLS = "runs no constant calls"
"""Part of what chain/estimate.py says of such a node."""


NO_DOUBT: Mapping[str, str] = MappingProxyType({})


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what was found, and, unless it is well, what to do."""

    check: str
    state: State
    found: str
    todo: str = ""


# --- the chain ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """The newest block of one node, or why there is none."""

    url: str
    """Scheme, host and port only: a path can hold a key."""
    head: Head | ChainUnavailable


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """What the first node that is well says of a watched address and of prices; None: it was not asked."""

    reading: Reading | NoReading | ChainUnavailable | None = None
    estimate: Estimate | NoEstimate | ChainUnavailable | None = None
    burn_sun: int | ChainUnavailable | None = None


def of_nodes(nodes: Sequence[NodeFacts], now: datetime) -> Iterator[Finding]:
    some_well = any(isinstance(node.head, Head) for node in nodes)
    for node in nodes:
        if isinstance(node.head, Head):
            old = _seconds(max(now - node.head.block_at, timedelta(0)))
            yield Finding("node", State.OK, f"{node.url}: block {node.head.number}, {old} old")
        else:
            state = State.WARNING if some_well else State.BROKEN
            found = str(node.head).removeprefix(f"{node.url}: ")
            yield Finding("node", state, f"{node.url}: {found}", _node_todo(node.head))


def _node_todo(error: ChainUnavailable) -> str:
    if getattr(error, "reason", None) is Reason.READING_STALE:
        return "wait until the node has caught up, set this host's clock right, or take another node"
    if any(status in str(error) for status in ("HTTP 401", "HTTP 403", "HTTP 429")):
        return "check node.api_keys and what they allow"
    return "check node.url and this host's way to it; energyd tries again by itself"


def of_clock(nodes: Iterable[NodeFacts], now: datetime) -> Finding:
    blocks = [node.head.block_at for node in nodes if isinstance(node.head, Head)]
    if not blocks:
        return Finding("clock", State.WARNING, "no node shows a block to compare this host's clock with")
    age = now - max(blocks)
    synchronise = "switch time synchronisation on, such as `timedatectl set-ntp true`"
    if age < -CLOCK_BEHIND:
        return Finding("clock", State.WARNING, f"this host's clock is {_seconds(-age)} behind the chain's", synchronise)
    if age > HEAD_LATE:
        found = f"the newest block is {_seconds(age)} old: this host's clock is ahead, or every node is behind"
        return Finding("clock", State.WARNING, found, synchronise)
    return Finding("clock", State.OK, "agrees with the chain's newest block within seconds")


def of_chain(chain: ChainFacts, policies: Sequence[Policy]) -> Iterator[Finding]:
    """Nothing where no node is well: that is said already."""
    if chain.reading is not None:
        yield _of_reading(chain.reading)
    if chain.estimate is not None:
        yield _of_estimate(chain.estimate, policies)
    if isinstance(chain.burn_sun, ChainUnavailable):
        todo = "without it a `% of burn` limit holds every order; take another node if it stays so"
        yield Finding("burn price", State.WARNING, str(chain.burn_sun), todo)
    elif chain.burn_sun is not None:
        yield Finding("burn price", State.OK, f"{chain.burn_sun} sun for a unit of energy")


def _of_reading(reading: Reading | NoReading | ChainUnavailable) -> Finding:
    if isinstance(reading, ChainUnavailable):
        return Finding("address", State.BROKEN, f"no address can be read: {reading}", "take another node")
    if isinstance(reading, Reading):
        found = f"{reading.address} has {reading.available:,} energy of a limit of {reading.energy_limit:,}"
        return Finding("address", State.OK, found)
    if reading.reason is Reason.NOT_ACTIVATED:
        todo = "send it some TRX: before that it can neither call nor receive energy"
        return Finding("address", State.WARNING, f"{reading.address} was never activated", todo)
    return Finding("address", State.BROKEN, f"{reading.address} cannot be read: {reading.detail}", "take another node")


def _of_estimate(estimate: Estimate | NoEstimate | ChainUnavailable, policies: Sequence[Policy]) -> Finding:
    if isinstance(estimate, ChainUnavailable):
        return Finding("estimates", State.WARNING, str(estimate), "take another node if it stays so")
    estimated = any(call.energy == "auto" for policy in policies for call in policy.planned_calls)
    if isinstance(estimate, NoEstimate) and RUNS_NO_CALLS in estimate.detail:
        todo = "allow them (vm.supportConstant), take another node, or write the energy of calls as numbers"
        state = State.BROKEN if estimated else State.WARNING
        return Finding("estimates", state, "the node runs no constant calls, so calls cannot be estimated", todo)
    if isinstance(estimate, NoEstimate) and estimate.reason in (Reason.NODE_UNREACHABLE, Reason.READING_STALE):
        return Finding("estimates", State.WARNING, estimate.detail, "take another node if it stays so")
    return Finding("estimates", State.OK, "the node runs constant calls, so calls can be estimated")


# --- Netts ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NettsFacts:
    """What Netts says; None: it was not asked, because it failed before or no policy needs it."""

    real_ip: str | None = None
    funds: Funds | NettsUnavailable | None = None
    prices: Prices | NettsUnavailable | None = None
    cycles: Cycles | NettsUnavailable | None = None


def of_netts(
    netts: NettsFacts,
    policies: Sequence[Policy],
    limits: OrderLimits,
    burn_sun: int | None,
    doubted_keys: Mapping[str, str] = NO_DOUBT,
) -> list[Finding]:
    """`doubted_keys`: why the counts of cycles under a key are not trusted, "" where they are."""
    if netts.funds is None:
        todo = "write api_key or api_key_file below netts, or pass the systemd credential netts_api_key"
        return [Finding("netts", State.BROKEN, "there is no key for Netts", todo)]
    if isinstance(netts.funds, NettsUnavailable):
        return [Finding("netts", State.BROKEN, str(netts.funds), _netts_todo(netts.funds, netts.real_ip))]
    comes_from = f" for calls from {netts.real_ip}" if netts.real_ip else ""
    found = [Finding("netts", State.OK, f"answers, and accepts the key{comes_from}")]
    if isinstance(netts.prices, Prices):
        found.append(_of_balance(netts.funds, netts.prices, policies, limits))
        found += _of_prices(netts.prices, policies, burn_sun)
    elif netts.prices is not None:
        found.append(Finding("rent price", State.BROKEN, str(netts.prices), "wait; energyd asks again by itself"))
    found.append(_of_cycles(netts.cycles, doubted_keys))
    return found


def _netts_todo(error: NettsUnavailable, real_ip: str | None) -> str:
    if not error.auth:
        return "check netts.url and this host's way to it; energyd asks again by itself"
    said = str(error).lower()
    leaves = f"{real_ip}, from which this host must leave," if real_ip else "the address from which this host leaves"
    listed = f"put {leaves} on the key's whitelist at Netts"
    key = "compare netts.api_key with the key in your account at Netts"
    about_ip, about_key = "whitelist" in said or "http 403" in said, "key" in said or "http 401" in said
    return listed if about_ip and not about_key else key if about_key and not about_ip else f"{key}, and {listed}"


def dearest_order_sun(policies: Iterable[Policy], limits: OrderLimits, prices: Prices) -> int | None:
    """What the dearest order that fills up one address can cost at these prices; None when there is none to price."""
    costs = []
    for policy in policies:
        if policy.energy is not None and policy.energy.rent_up_to and prices.rent_sun is not None:
            energy = min(max(policy.energy.rent_up_to, limits.energy_min), limits.energy_max)
            costs.append(units.cost_sun(energy, prices.rent_sun))
        if policy.host_mode is not None and prices.cycle_sun is not None:
            costs.append(min(policy.host_mode.top_up_to, limits.cycles_max) * prices.cycle_sun)
    return max(costs, default=None)


def _of_balance(funds: Funds, prices: Prices, policies: Sequence[Policy], limits: OrderLimits) -> Finding:
    balance, dearest = units.trx_text(funds.balance_sun), dearest_order_sun(policies, limits, prices)
    if not dearest:
        return Finding("balance", State.OK if funds.balance_sun else State.WARNING, balance)
    count, of_each = funds.balance_sun // dearest, f"of up to {units.trx_text(dearest)}"
    if not count:
        found = f"{balance} does not pay for an order {of_each}"
        return Finding("balance", State.BROKEN, found, "top up the account at Netts")
    found = f"{balance} pays for {count:,} order{'' if count == 1 else 's'} {of_each}"
    if count < sum(len(policy.addresses) for policy in policies):
        return Finding("balance", State.WARNING, f"{found}: not one for every address", "top up the account at Netts")
    return Finding("balance", State.OK, found)


def _of_prices(prices: Prices, policies: Sequence[Policy], burn_sun: int | None) -> Iterator[Finding]:
    rent = prices.rent_sun
    if rent is None:
        yield Finding("rent price", State.BROKEN, "Netts names no current price", "wait; nothing is rented until then")
        return
    if burn_sun is not None and rent > burn_sun:
        found = f"{rent} sun, and burning costs {burn_sun}: nothing is rented at that price"
        yield Finding("rent price", State.WARNING, found, "wait until it falls")
        return
    too_dear = [policy for policy in policies if _is_too_dear(policy, rent, burn_sun)]
    if too_dear:
        limits = ", ".join(f"{policy.name} allows {policy.energy.max_price}" for policy in too_dear if policy.energy)
        yield Finding("rent price", State.WARNING, f"{rent} sun, but {limits}", "wait, or raise max_price")
        return
    below = f", and burning costs {burn_sun}" if burn_sun is not None else ""
    yield Finding("rent price", State.OK, f"{rent} sun for a unit of energy{below}")


def _is_too_dear(policy: Policy, rent_sun: int, burn_sun: int | None) -> bool:
    cap = policy.energy.max_price if policy.energy is not None else None
    limit = cap.in_sun(burn_sun) if cap is not None else None
    return limit is not None and rent_sun > limit


def _of_cycles(cycles: Cycles | NettsUnavailable | None, doubted_keys: Mapping[str, str]) -> Finding:
    if cycles is None:
        return Finding("host mode", State.OK, "no policy uses it")
    if isinstance(cycles, NettsUnavailable):
        return Finding("host mode", State.WARNING, str(cycles), "wait; energyd asks again by itself")
    if cycles.known is not CyclesKnown.COUNTED:
        return _of_uncounted(cycles)
    if doubt := doubted_keys.get(cycles.key):
        found = f"{cycles.remaining} cycles of {cycles.address} stand under {cycles.key!r}, which is doubted: {doubt}"
        todo = "compare the count with your account at Netts; `energyd host confirm-key` if it is right"
        return Finding("host mode", State.WARNING, found, todo)
    return Finding("host mode", State.OK, f"{cycles.address} has {cycles.remaining} cycles, read as {cycles.key!r}")


def _of_uncounted(cycles: Cycles) -> Finding:
    if cycles.known is CyclesKnown.INFINITE:
        return Finding("host mode", State.OK, f"{cycles.address} has cycles without end; energyd orders none for it")
    if cycles.known is CyclesKnown.NOT_IN_HOST_MODE:
        todo = "`energyd host add`; until then no cycles are ordered for it"
        return Finding("host mode", State.WARNING, f"{cycles.address} is not in Host Mode", todo)
    why = f": {cycles.detail}" if cycles.detail else ""
    todo = "none are ordered until they can be; report what time/status answers"
    return Finding("host mode", State.WARNING, f"the cycles of {cycles.address} cannot be read{why}", todo)


# --- this host ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LedgerFacts:
    """The ledger's file as it lies on the disk. `problem` is why what is there cannot be read."""

    path: Path
    exists: bool
    is_writable: bool
    """By this user: the file and its folder, or the place where they would be made."""
    free_bytes: int | None = None
    mode: int | None = None
    revision: str | None = None
    newest_revision: str = ""
    problem: str = ""
    doubted_keys: Mapping[str, str] = field(default_factory=dict)
    holder: int | None = None
    """The process that holds it as its daemon."""


@dataclass(frozen=True, slots=True)
class DaemonFacts:
    """What answers where the daemon should listen. `problem` is why it is not ready, `silent` why nothing answered."""

    place: str
    version: str = ""
    problem: str = ""
    silent: str = ""


def of_ledger(ledger: LedgerFacts) -> Iterator[Finding]:
    yield _of_ledger_file(ledger)
    if ledger.mode is not None and ledger.mode & OTHERS:
        found = f"{ledger.path} has mode {ledger.mode:04o}: other users may read what was bought"
        yield Finding("rights", State.WARNING, found, f"chmod 600 {ledger.path}")
    if ledger.free_bytes is not None:
        yield _of_disk(ledger.path, ledger.free_bytes)


def _of_ledger_file(ledger: LedgerFacts) -> Finding:
    if ledger.problem:
        found, _, todo = ledger.problem.partition("; ")
        return Finding("ledger", State.BROKEN, found, todo)
    if not ledger.is_writable:
        todo = "look at the rights of the file, its folder and the file system; run this as the daemon's user"
        return Finding("ledger", State.BROKEN, f"{ledger.path} cannot be written", todo)
    if not ledger.exists:
        todo = "if there was one, put it back before starting"
        return Finding("ledger", State.WARNING, f"there is none at {ledger.path} yet; `energyd run` makes it", todo)
    if ledger.revision != ledger.newest_revision:
        found = f"{ledger.path} is at revision {ledger.revision or 'none'} of {ledger.newest_revision}"
        return Finding("ledger", State.WARNING, found, "start the daemon anew; it brings it up to date")
    held = f", held by process {ledger.holder}" if ledger.holder is not None else ""
    return Finding("ledger", State.OK, f"{ledger.path}, revision {ledger.revision}{held}")


def _of_disk(path: Path, free_bytes: int) -> Finding:
    found = f"{free_bytes // 2**20:,} MiB are free for {path.parent}"
    if free_bytes < FREE_MIN:
        return Finding("disk", State.BROKEN, found, "free some space: nothing is ordered that cannot be written down")
    return Finding("disk", State.OK if free_bytes >= FREE_WELL else State.WARNING, found)


def of_daemon(daemon: DaemonFacts, holder: int | None) -> Finding:
    process = f", process {holder}" if holder is not None else ""
    if daemon.problem:
        found = f"runs{process}, and is not ready: {daemon.problem.removesuffix('; see its log')}"
        return Finding("daemon", State.BROKEN, found, "see its log")
    if daemon.silent and holder is not None:
        found = f"process {holder} holds the ledger, but {daemon.silent.partition('; ')[0]}"
        return Finding("daemon", State.WARNING, found, "is it another configuration's, or on its way down?")
    if daemon.silent:
        found, _, todo = daemon.silent.partition("; ")
        return Finding("daemon", State.WARNING, found, todo)
    if daemon.version != __version__:
        found = f"runs{process}, with version {daemon.version}; this is {__version__}"
        return Finding("daemon", State.WARNING, found, "restart it")
    return Finding("daemon", State.OK, f"runs{process}, and is ready on {daemon.place}")


def _seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():.1f} s" if duration < timedelta(minutes=1) else units.duration_text(duration)
