"""What is no fault and may still surprise: estimates of money and requests, and a word where they look wrong."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from urllib.parse import urlsplit

from energyd.config.settings import Settings, TcpSocket, is_plain
from energyd.config.source import Node
from energyd.errors import Place
from energyd.model import RENTAL_TIME, OrderLimits
from energyd.policy import EnergyRule, HostModeRule, Policy
from energyd.units import trx_text

BURN_SUN = 100
"""Sun that a unit of energy costs without rented energy, since 2025-08-29. The chain is asked before money is spent."""
TRONGRID_REQUESTS_A_DAY = 100_000
"""TronGrid's free plan, for one key."""
HEADS_A_SECOND = Fraction(1, 3)
"""The node's latest block is asked for once a block time and shared by all addresses."""
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, order=True)
class Advice:
    """A word about a place in a file; nothing has to be changed."""

    place: Place
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


# --- estimates ------------------------------------------------------------------------------------------------------


def spend_a_day_max(policy: Policy) -> int | None:
    """The most that a policy can spend within any 24 hours, in sun; None when its budget is unlimited."""
    if not policy.enabled or policy.mode == "observe":
        return 0
    return None if policy.limits is None else policy.limits.per_day


def idle_day_energy(rule: EnergyRule, limits: OrderLimits) -> int:
    """What one address without energy of its own rents in a day in which nobody uses it."""
    if rule.keep != "always" or not rule.floor:
        return 0
    return -(-DAY // (RENTAL_TIME - rule.renew_before)) * max(rule.rent_up_to, limits.energy_min)


def price_max_sun(rule: EnergyRule) -> Fraction:
    """The most that a unit of energy may cost, in sun, when burning costs what it does today."""
    limit = rule.max_price.in_sun(BURN_SUN) if rule.max_price is not None else None
    return Fraction(BURN_SUN if limit is None else limit)


def node_requests(policies: Iterable[Policy]) -> Fraction:
    """Requests a second that enabled policies ask of the node, the shared look at its head included."""
    paces = [
        Fraction(len(policy.addresses) * _requests_a_check(policy.energy)) / _seconds(policy.energy.check_every)
        for policy in policies
        if policy.enabled and policy.energy
    ]
    return sum(paces, Fraction(0)) + (HEADS_A_SECOND if paces else 0)


def _requests_a_check(rule: EnergyRule) -> int:
    return 2 if rule.keep == "while_active" else 1


def netts_requests(policies: Iterable[Policy]) -> Fraction:
    """Readings of cycles a second that enabled policies ask of Netts: one answer tells of all addresses."""
    paces = [1 / _seconds(policy.host_mode.check_every) for policy in policies if policy.enabled and policy.host_mode]
    return max(paces, default=Fraction(0))


def _seconds(duration: timedelta) -> Fraction:
    return Fraction(duration // timedelta(seconds=1))


# --- a word about it ------------------------------------------------------------------------------------------------


def advice_on_policy(policy: Policy, root: Node, limits: OrderLimits) -> Iterator[Advice]:
    if not (policy.energy or policy.planned_calls or policy.host_mode):
        yield Advice(
            root.place, "the policy has no energy, planned_calls or host_mode: it only serves 'energyd ensure'"
        )
    if policy.budget == "unlimited":
        yield Advice(_at(root, "budget"), "nothing limits what this policy spends but the balance at Netts")
    if policy.energy is not None:
        for key, text in _energy_advice(policy.energy, limits, len(policy.addresses)):
            yield Advice(_at(root, "energy", key), text)
    if policy.host_mode is not None:
        yield from _host_advice(policy, policy.host_mode, root, limits)


def _host_advice(policy: Policy, rule: HostModeRule, root: Node, limits: OrderLimits) -> Iterator[Advice]:
    if policy.energy is not None and policy.energy.floor and policy.energy.keep != "never":
        text = (
            "Host Mode fills these addresses up, too; when it takes longer than 2m, energy is rented and both are paid"
        )
        yield Advice(_at(root, "energy", "floor"), f"{text}; keep: never leaves it to Host Mode")
    cycles = min(rule.top_up_to - (rule.min_cycles or rule.top_up_to) + 1, limits.cycles_max)
    if policy.limits is not None and (cost := cycles * rule.max_cycle_price) > policy.limits.per_order:
        text = f"an order of {cycles} cycles may cost {trx_text(cost)}, and the budget of one order is smaller"
        yield Advice(_at(root, "host_mode", "top_up_to"), text)


def _energy_advice(rule: EnergyRule, limits: OrderLimits, addresses: int) -> Iterator[tuple[str, str]]:
    if idle := idle_day_energy(rule, limits):
        cost = trx_text(-(-idle * price_max_sun(rule) // 1))
        whose = "an address" if addresses == 1 else f"each of {addresses} addresses"
        text = f"{whose} is rented {idle:,} energy a day though nobody uses it, for at most {cost}"
        yield "keep", f"{text}; keep: while_active, or windows, rent less"
    if 0 < rule.rent_up_to < limits.energy_min:
        yield "target", f"Netts sells no less than {limits.energy_min:,} in one order, so that much is rented"
    if price_max_sun(rule) > BURN_SUN:
        yield "max_price", f"this is more than burning costs now ({BURN_SUN} sun); renting above that is a loss"
    if rule.on_unknown == "assume_empty":
        yield "on_unknown", "while the node does not answer, this rents as if there were no energy, up to the budget"


def advice_on_settings(settings: Settings, root: Node, policies: tuple[Policy, ...]) -> Iterator[Advice]:
    if not any(policy.enabled for policy in policies):
        yield Advice(_at(root, "policies"), "no policy is enabled, so there is nothing to do")
    if settings.netts.api_key is None:
        yield Advice(_at(root, "netts"), "there is no key for Netts yet; the daemon does not start without one")
    if isinstance(settings.listen, TcpSocket) and settings.token() is None:
        yield Advice(_at(root, "listen"), "there is no listen_token yet; the daemon does not start without one")
    node = settings.node
    if node.api_keys and any(is_plain(url) for url in (node.url, *node.fallbacks)):
        yield Advice(_at(root, "node", "api_keys"), "these keys travel readable over http; use https")
    yield from _rate_advice(settings, root, policies)


def _rate_advice(settings: Settings, root: Node, policies: tuple[Policy, ...]) -> Iterator[Advice]:
    asked, told = node_requests(policies), netts_requests(policies)
    if asked > settings.node.max_rps:
        yield Advice(_at(root, "node", "max_rps"), _too_many(asked, settings.node.max_rps, "the node"))
    if told > settings.netts.max_rps:
        yield Advice(_at(root, "netts", "max_rps"), _too_many(told, settings.netts.max_rps, "Netts"))
    a_day, allowed = asked * 86_400, TRONGRID_REQUESTS_A_DAY * max(len(settings.node.api_keys), 1)
    if _is_trongrid(settings.node.url) and a_day > allowed:
        text = f"this asks {int(a_day):,} times a day; TronGrid's free plan answers {allowed:,} with these keys"
        yield Advice(_at(root, "node", "url"), text)


def _too_many(asked: Fraction, allowed: int, whom: str) -> str:
    rarer = f"{float(asked / allowed):.1f} times rarer"
    return f"the policies ask {whom} {float(asked):.1f} times a second; max_rps {allowed} makes checks {rarer}"


def _is_trongrid(url: str) -> bool:
    return (urlsplit(url).hostname or "").endswith("trongrid.io")


def _at(root: Node, *keys: str) -> Place:
    """The place of a key, or of what it would stand in when it is left out."""
    return root.path(keys)[-1].key_place
