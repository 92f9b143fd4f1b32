"""Asks the node, Netts, the ledger's file and the daemon. Each question has a deadline, and none changes anything.

Netts gets three or four questions, one after the other, and only one when it does not accept the key.
"""

import asyncio
import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from energyd.chain import Chain, Head, takes_keys
from energyd.client import Client
from energyd.config.load import Configuration
from energyd.config.settings import NettsSettings, NodeSettings, Settings
from energyd.doctor import findings
from energyd.doctor.findings import ChainFacts, DaemonFacts, Finding, LedgerFacts, NettsFacts, NodeFacts, State
from energyd.errors import (
    ChainUnavailable,
    ConfigFaults,
    EnergydError,
    LedgerError,
    NettsUnavailable,
    NoDaemon,
    NotPossible,
)
from energyd.ledger import queries, store
from energyd.ledger.tables import REVISION
from energyd.model import ContractCall
from energyd.netts.client import Netts
from energyd.policy import Policy

T = TypeVar("T")
E = TypeVar("E", bound=EnergydError)

WITHIN_SECONDS = 8.0
"""For one question."""
DAEMON_WITHIN_SECONDS = 5.0
USDT = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
"""A contract of the main network; another network answers that there is none, which is an answer, too."""
A_TIMEZONE = "Europe/Berlin"


async def examine(
    configuration: Configuration, now: Callable[[], datetime], broken: ConfigFaults | None = None
) -> tuple[Finding, ...]:
    """Everything that can be found, in the order in which it is to be read.

    `broken` says why the policies of the configuration are not those of its files.
    """
    settings, policies = configuration.settings, _enabled(configuration)
    (nodes, chain), netts, daemon = await asyncio.gather(
        _ask_chain(settings.node, policies, now),
        _ask_netts(settings.netts, policies, now),
        asyncio.to_thread(_ask_daemon, settings),
    )
    ledger = _look_at_ledger(settings.state)
    burn_sun = chain.burn_sun if isinstance(chain.burn_sun, int) else None
    return (
        _of_configuration(configuration) if broken is None else _of_broken(configuration, broken),
        *_of_python(),
        *findings.of_nodes(nodes, now()),
        findings.of_clock(nodes, now()),
        *findings.of_chain(chain, policies),
        *findings.of_netts(netts, policies, settings.netts.limits, burn_sun, ledger.doubted_keys),
        *findings.of_ledger(ledger),
        findings.of_daemon(daemon, ledger.holder),
    )


def _enabled(configuration: Configuration) -> list[Policy]:
    return [policy for policy in configuration.policies if policy.enabled]


async def _asked(question: Awaitable[T], failure: type[E]) -> T | E:
    """An answer, or the error that stands for none."""
    try:
        async with asyncio.timeout(WITHIN_SECONDS):
            return await question
    except TimeoutError:
        return failure(f"no answer within {WITHIN_SECONDS:g} seconds")
    except failure as error:
        return error


# --- the node -------------------------------------------------------------------------------------------------------


async def _ask_chain(
    node: NodeSettings, policies: Sequence[Policy], now: Callable[[], datetime]
) -> tuple[list[NodeFacts], ChainFacts]:
    """The head of every node; and from the first of them that is well, what an order depends on."""
    urls = (node.url, *node.fallbacks)
    async with AsyncExitStack() as until_the_end:
        chains = []
        for url in urls:
            keys = node.keys() if url in takes_keys(urls) else ()
            chains.append(Chain((url,), keys, max_rps=node.max_rps, timeout=node.timeout, now=now))
            until_the_end.push_async_callback(chains[-1].close)
        heads = await asyncio.gather(*(_asked(chain.head(), ChainUnavailable) for chain in chains))
        well = next((chain for chain, head in zip(chains, heads, strict=True) if isinstance(head, Head)), None)
        facts = ChainFacts() if well is None else await _ask_node(well, policies)
    shown = (chain.health()[0].url for chain in chains)
    return [NodeFacts(url, head) for url, head in zip(shown, heads, strict=True)], facts


async def _ask_node(chain: Chain, policies: Sequence[Policy]) -> ChainFacts:
    burn_sun = await _asked(chain.burn_price(), ChainUnavailable)
    address = next((address for policy in policies for address in policy.watched()), None)
    if address is None:
        return ChainFacts(burn_sun=burn_sun)
    reading = await _asked(chain.reading(address), ChainUnavailable)
    estimate = await _asked(chain.estimate(ContractCall(address, USDT, "decimals()")), ChainUnavailable)
    return ChainFacts(reading, estimate, burn_sun)


# --- Netts ----------------------------------------------------------------------------------------------------------


async def _ask_netts(settings: NettsSettings, policies: Sequence[Policy], now: Callable[[], datetime]) -> NettsFacts:
    if settings.api_key is None:
        return NettsFacts()
    netts = Netts(
        url=settings.url,
        api_key=settings.key(),
        real_ip=settings.real_ip,
        max_rps=settings.max_rps,
        timeout=settings.timeout,
        now=now,
    )
    try:
        funds = await _asked(netts.funds(), NettsUnavailable)
        if isinstance(funds, NettsUnavailable):
            return NettsFacts(settings.real_ip, funds)
        hosted = next((address for policy in policies if policy.host_mode for address in policy.watched()), None)
        prices = await _asked(netts.prices(cycles=hosted is not None), NettsUnavailable)
        cycles = None if hosted is None else await _asked(netts.cycles(hosted), NettsUnavailable)
        return NettsFacts(settings.real_ip, funds, prices, cycles)
    finally:
        await netts.aclose()


# --- this host ------------------------------------------------------------------------------------------------------


def _of_configuration(configuration: Configuration) -> Finding:
    enabled, settings = _enabled(configuration), configuration.settings
    found = f"{configuration.file}: {settings.mode}, {_count(len(enabled), 'enabled policy', 'enabled policies')}, "
    found += _count(sum(len(policy.addresses) for policy in enabled), "address", "addresses")
    if not enabled:
        return Finding("configuration", State.WARNING, found, "enable a policy; there is nothing to do")
    notes = _count(len(configuration.advice), "note", "notes")
    return Finding("configuration", State.OK, found + (f"; {notes}: `energyd check`" if configuration.advice else ""))


def _of_broken(configuration: Configuration, broken: ConfigFaults) -> Finding:
    found = f"{configuration.file}: {_count(len(broken.faults), 'fault', 'faults')} in policy files"
    return Finding("configuration", State.BROKEN, found, "`energyd check` names them; mend them, then `energyd reload`")


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _of_python() -> Iterator[Finding]:
    yield Finding("python", State.OK, sys.version.split()[0])
    try:
        ZoneInfo(A_TIMEZONE)
    except ZoneInfoNotFoundError:
        todo = "install the system's tzdata, or `pip install tzdata`"
        yield Finding("time zones", State.BROKEN, f"there are no data about {A_TIMEZONE}", todo)
    else:
        yield Finding("time zones", State.OK, "their data are there")


def _look_at_ledger(path: Path) -> LedgerFacts:
    path = path.resolve()
    folder = next(folder for folder in path.parents if folder.exists())
    facts = LedgerFacts(
        path,
        exists=path.exists(),
        is_writable=os.access(folder, os.W_OK | os.X_OK) and (not path.exists() or os.access(path, os.W_OK)),
        free_bytes=shutil.disk_usage(folder).free,
        newest_revision=REVISION,
        holder=store.holder(path),
    )
    return facts if not facts.exists else _look_inside(facts)


def _look_inside(facts: LedgerFacts) -> LedgerFacts:
    try:
        with store.explained(facts.path):
            mode = facts.path.stat().st_mode & 0o777
            with store.connect(facts.path, to_write=False).connect() as connection:
                revision = store.revision(connection, facts.path)
                doubted = queries.cycle_keys(connection) if revision == REVISION else findings.NO_DOUBT
            return replace(facts, mode=mode, revision=revision, doubted_keys=doubted)
    except LedgerError as error:
        return replace(facts, problem=str(error))


def _ask_daemon(settings: Settings) -> DaemonFacts:
    place = str(settings.listen)
    with Client(settings) as client:
        try:
            version = client.get("/healthz", within=DAEMON_WITHIN_SECONDS)["version"]
            client.get("/readyz", within=DAEMON_WITHIN_SECONDS)
        except NoDaemon as error:
            if str(error).startswith("no daemon"):
                return DaemonFacts(place, silent=str(error))
            return DaemonFacts(place, problem=str(error))
        except NotPossible as error:
            return DaemonFacts(place, problem=str(error))
        return DaemonFacts(place, version)
