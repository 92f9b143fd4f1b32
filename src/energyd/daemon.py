"""The daemon: builds everything, keeps it going, and lets it end.

`build` is the only place that puts the parts together. The world enters through its arguments: the wire, the wall
clock, chance; and through the event loop it runs on. Jobs with a calendar run in APScheduler, the looks at addresses
in rounds.py.
"""

import asyncio
import contextlib
import hashlib
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import httpx
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from energyd import __version__, units
from energyd.alarms import Alarms
from energyd.config.load import Configuration
from energyd.core import alerts
from energyd.engine import Engine
from energyd.errors import ConfigFaults, LedgerError
from energyd.ledger.ledger import Ledger
from energyd.metrics import Known, Metrics
from energyd.model import AlertName, Call, CallState, Mode, Order, Refusals
from energyd.notify import Notifier
from energyd.refresh import FUNDS, Refresh
from energyd.reloading import Keep, Read, Reloaded, Reloading
from energyd.rounds import Pulse, Rounds
from energyd.swap import SwappableChain, SwappableNetts
from energyd.systemd import Manager
from energyd.telemetry import Log, LogEvent

if TYPE_CHECKING:
    from energyd.api.host import Host

AT_ONCE = 8
"""Looks that run at the same time; a node answers eight at once best (architecture 14)."""
PRICES_EVERY = timedelta(seconds=60)
FUNDS_EVERY = timedelta(minutes=3)
"""`userinfo` allows about 1000 calls a day (netts-api 12)."""
ALERTS_EVERY = timedelta(seconds=10)
WRITE_EVERY = timedelta(seconds=5)
FORGET_EVERY = timedelta(hours=6)
FIRST_LOOK_EVERY = timedelta(milliseconds=100)
"""The first looks at the addresses of a policy are spread by this much for each of them."""
FIRST_LOOKS_WITHIN = timedelta(seconds=15)
"""Of policies that keep no floor."""
STOP_WITHIN = timedelta(seconds=3)
HANGS_AFTER = timedelta(minutes=10)
"""A look that takes this long, and longer than the settings let it wait, never ends by itself."""
CONFIGURATION_DIGEST = "configuration"
FAILING_FOR = timedelta(seconds=30)
"""How long a dependency must fail before a person is told."""


def _count(number: int, one: str, many: str) -> str:
    return f"{number or 'no'} {one if number == 1 else many}"


class Daemon:
    """One process that watches addresses and spends at most what its policies allow."""

    def __init__(
        self,
        *,
        files: Reloading,
        engine: Engine,
        chain: SwappableChain,
        netts: SwappableNetts,
        ledger: Ledger,
        log: Log,
        mode: Mode,
        now: Callable[[], datetime],
        rng: Random,
        manager: Manager,
        metrics: Metrics,
        notifier: Notifier,
    ) -> None:
        self._files = files
        self.engine, self._chain, self._netts, self._ledger, self._log = engine, chain, netts, ledger, log
        self._mode, self._now = mode, now
        self._manager, self._metrics, self._notifier = manager, metrics, notifier
        pulse = None if manager.beat_every is None else Pulse(manager.beat_every, self._beat)
        self._rounds = Rounds(self._look, at_once=AT_ONCE, rng=rng, pulse=pulse)
        engine.calls.hurry = engine.hosting.hurry = self._rounds.hurry
        self._refresh = Refresh(
            engine,
            chain,
            log,
            now,
            url=lambda: self._configuration.settings.netts.url,
            hurry=self._rounds.hurry,
            again=self._run_job_in,
        )
        self._alarms = Alarms(ledger, log, now, notifier)
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._stop = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._reloaded: Reloaded = None
        self._open_orders: tuple[Order, ...] = ()
        self._missed: tuple[Call, ...] = ()
        self._refusals: Refusals | None = None
        self._doubted_keys: dict[str, str] = {}
        self._ledger_error: str | None = None

    # --- life -----------------------------------------------------------------------------------------------------

    async def run(self, *, once: bool = False, listen: bool = False) -> None:
        """Live until `stop` is called; with `once`, take one decision for every address and end.

        With `listen` the control API is served where the settings say. Raises CannotListen.
        """
        try:
            await self._start()
            await self._until_stopped(self._look_once() if once else self._live(listen=listen))
        finally:
            await self._end()

    def stop(self) -> None:
        self._stop.set()

    async def _start(self) -> None:
        self._tell_life(LogEvent.DAEMON_STARTED)
        await self._files.begin(self._take_over)
        with contextlib.suppress(LedgerError):
            await self._forgive_if_changed()
        await self._alarms.recall()

    @property
    def _configuration(self) -> Configuration:
        return self._files.current

    @property
    def watches_files(self) -> bool:
        """Whether it is to reload by itself when a file was changed."""
        return self._configuration.settings.watch

    async def _forgive_if_changed(self) -> None:
        """Orders that were refused may be tried again at once when the configuration is not the one of before.

        A key counts, too: what is remembered is a digest, with the ledger's own id in it, that shows no key.
        """
        key = self._configuration.settings.netts.api_key
        parts = (await self._ledger.get_meta("ledger_id"), self._configuration.digest, key and key.get_secret_value())
        digest = hashlib.sha256(repr(parts).encode()).hexdigest()
        if digest != await self._ledger.get_meta(CONFIGURATION_DIGEST):
            await self._ledger.forgive_refusals()
            await self._ledger.set_meta(CONFIGURATION_DIGEST, digest)

    async def _until_stopped(self, living: Coroutine[Any, Any, None]) -> None:
        life, stopped = asyncio.create_task(living, name="life"), asyncio.create_task(self._stop.wait(), name="stop")
        try:
            await asyncio.wait([life, stopped], return_when=asyncio.FIRST_COMPLETED)
            self._tell_life(LogEvent.DAEMON_STOPPING)
            self._manager.stopping()
        finally:
            for task in (life, stopped):
                task.cancel()
            await asyncio.gather(life, stopped, return_exceptions=True)
        if not life.cancelled():
            life.result()

    async def _live(self, *, listen: bool) -> None:
        async with self._listening() if listen else contextlib.nullcontext():
            self._schedule_jobs()
            try:
                self._tell_life(LogEvent.DAEMON_READY)
                self._manager.ready(f"{self._watches()}; reads the node and Netts for the first time")
                await self._refresh.everything()
                self._take_on_addresses()
                self._rounds.take_on(order.address for order in await self._ledger.open_orders())
                await self._rounds.run()
            finally:
                self._scheduler.shutdown(wait=False)

    def _listening(self) -> contextlib.AbstractAsyncContextManager[None]:
        from energyd.api.app import application  # noqa: PLC0415 - FastAPI is slow to import, and most commands need none
        from energyd.api.serve import serving  # noqa: PLC0415 - the same

        settings = self._configuration.settings
        return serving(application(self.api_host(), token=settings.token()), settings.listen)

    def api_host(self) -> "Host":
        """What the control API is given of the daemon."""
        from energyd.api.host import Host  # noqa: PLC0415 - the same
        from energyd.api.past import Past  # noqa: PLC0415 - the same

        return Host(
            mode=self._mode,
            began_at=self._now(),
            engine=self.engine,
            ledger=self._ledger,
            past=Past(self._ledger),
            log=self._log,
            now=self._now,
            policies=lambda: self._configuration.policies,
            ailments=self._ailments,
            look_at=self._rounds.hurry,
            reload=self.reload,
            metrics=self.metrics,
            stopping=self._stop,
        )

    async def metrics(self) -> bytes:
        """What Prometheus is shown, in its text format."""
        return await self._metrics.exposition(
            Known(
                mode=self._mode,
                policies=self.engine.policies,
                readings=self.engine.readings,
                cycles=self.engine.hosting.counted(),
                decisions=self.engine.latest,
                prices=self.engine.known.prices,
                funds=self.engine.known.funds,
                alerts=self._alarms.standing,
                notifications=self._notifier.failing(),
                late_seconds=self._rounds.late(),
            )
        )

    def _ailments(self) -> dict[str, str]:
        """What keeps the daemon from its work."""
        ailing = {"policies": self._files.error, "node": self._chain.down_for(timedelta(0))}
        return {part: why for part, why in ailing.items() if why is not None}

    async def _look_once(self) -> None:
        await self._refresh.everything()
        await asyncio.gather(*(self._look(address) for address in self.engine.policies))
        await self._tell_alerts()

    def _tell_life(self, event: LogEvent) -> None:
        mode, policies = str(self._mode), len(self._configuration.policies)
        self._log.emit(event, version=__version__, mode=mode, addresses=self._addresses(), policies=policies)

    def _addresses(self) -> int:
        return sum(len(policy.addresses) for policy in self._configuration.policies if policy.enabled)

    def _watches(self) -> str:
        addresses = _count(self._addresses(), "address", "addresses")
        return f"{self._mode}, {addresses} of {_count(len(self._configuration.policies), 'policy', 'policies')}"

    def _status(self) -> str:
        """How it is, in one sentence for `systemctl status`."""
        alarms = ", ".join(dict.fromkeys(str(alert.name) for alert in self._alarms.standing))
        parts = [self._watches(), _count(len(self._open_orders), "open order", "open orders")]
        parts.append(f"alerts: {alarms}" if alarms else "no alert")
        if self._files.error:
            parts.append(f"the files as they are now are refused: {self._files.error}")
        return "; ".join(parts)

    def _beat(self) -> None:
        """Tell the service manager that the rounds go on; not while a look hangs, so that it starts energyd anew."""
        hanging = self._rounds.hanging(self._hangs_after)
        for address in hanging:
            self._log.emit(LogEvent.FAULT, address=address, error=f"a look hangs for more than {self._hangs_after}")
        if not hanging:
            self._manager.beat()

    @property
    def _hangs_after(self) -> timedelta:
        """Longer than a look that waits for the slowest answers that the settings allow."""
        node, vendor = self._configuration.settings.node, self._configuration.settings.netts
        return max(HANGS_AFTER, 10 * (node.timeout * (1 + len(node.fallbacks)) + vendor.timeout))

    def _take_on_addresses(self) -> None:
        for policy in self._configuration.policies:
            if policy.enabled:
                pace = policy.energy.check_every if policy.energy is not None else FIRST_LOOKS_WITHIN
                self._rounds.take_on(policy.watched(), spread=min(pace, len(policy.addresses) * FIRST_LOOK_EVERY))

    async def _end(self) -> None:
        await asyncio.gather(self._rounds.finish(STOP_WITHIN), self._notifier.close(STOP_WITHIN))
        await self.engine.calls.close()
        await self.engine.hosting.close()
        with contextlib.suppress(LedgerError):
            await self.engine.write_down()
        await self._ledger.close()
        await self._chain.close()
        await self._netts.close()
        self._tell_life(LogEvent.DAEMON_STOPPED)

    # --- work -----------------------------------------------------------------------------------------------------

    async def _look(self, address: str) -> timedelta | None:
        """One tick. A fault of ours is told and never stops the others, nor this address for good."""
        try:
            return await self.engine.tick(address)
        except LedgerError as error:
            self._ledger_error = str(error)
        except Exception as error:  # noqa: BLE001 - one address must not take the daemon down in the middle of others' orders
            self._log.emit(LogEvent.FAULT, address=address, error=f"{type(error).__name__}: {error}")
        return timedelta(seconds=15)

    def _schedule_jobs(self) -> None:
        """Every job has its own name, so that chance never decides which of two that are due runs first."""
        jobs: tuple[tuple[str, Callable[[], Awaitable[None]], timedelta], ...] = (
            ("prices", self._refresh.prices, PRICES_EVERY),
            (FUNDS, self._refresh.funds, FUNDS_EVERY),
            ("burn price", self._refresh.burn_price, PRICES_EVERY),
            ("alerts", self._tell_alerts, ALERTS_EVERY),
            ("write down", self._write_down, WRITE_EVERY),
            ("forget", self._forget, FORGET_EVERY),
        )
        for name, work, every in jobs:
            self._scheduler.add_job(
                self._job,
                "interval",
                args=(name, work),
                seconds=every.total_seconds(),
                id=name,
                coalesce=True,
                misfire_grace_time=None,
            )
        self._scheduler.start()

    async def _job(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """One run of a job. APScheduler prints what it catches, so nothing is left for it to catch.

        A job is cancelled only when the scheduler is shut down, and then it just ends.
        """
        try:
            await work()
        except asyncio.CancelledError:
            return
        except LedgerError as error:
            self._ledger_error = str(error)
        except Exception as error:  # noqa: BLE001 - a job that fails once runs again at its next time
            self._log.emit(LogEvent.FAULT, job=name, error=f"{type(error).__name__}: {error}")

    def _run_job_in(self, name: str, wait: timedelta) -> None:
        """Run a job earlier than its time, once it has been scheduled at all."""
        if self._scheduler.get_job(name) is not None:
            self._scheduler.modify_job(name, next_run_time=self._now() + wait)

    async def _write_down(self) -> None:
        try:
            if await self.engine.write_down():
                self._ledger_error = None
        except LedgerError as error:
            self._ledger_error = str(error)

    async def _forget(self) -> None:
        with contextlib.suppress(LedgerError):
            await self._ledger.forget(self._now())

    async def _tell_alerts(self) -> None:
        facts = await self._facts()
        raised = await self._alarms.tell(facts)
        late = {alert.subject for alert in raised if alert.name is AlertName.DELIVERY_LATE}
        for order in facts.orders:
            if order.key in late:
                self._log.rental(LogEvent.ENERGY_LATE, order, at=facts.now)
        self._manager.status(self._status())

    async def _facts(self) -> alerts.Facts:
        """The facts of the moment. While the ledger cannot be read, its orders stand as they were read last."""
        try:
            self._open_orders = await self._ledger.open_orders()
            self._missed = await self._ledger.calls(states=[CallState.MISSED])
            self._refusals = await self._ledger.account_refusals()
            self._doubted_keys = await self._ledger.cycle_keys()
        except LedgerError as error:
            self._ledger_error = str(error)
        return alerts.Facts(
            now=self._now(),
            orders=self._open_orders,
            calls=self._missed,
            decisions=(*self.engine.latest.values(), *self.engine.hosting.latest.values()),
            uncounted=self.engine.hosting.uncounted(),
            doubted_keys=self._doubted_keys,
            node_error=self._chain.down_for(self._patience(AlertName.NODE_UNAVAILABLE)),
            netts_error=self._refresh.failures.standing(self._patience(AlertName.NETTS_UNAVAILABLE)),
            auth_error=self._refresh.auth_error,
            ledger_error=self._ledger_error,
            policies_error=self._files.error,
            refusals=self._refusals,
            funds=self.engine.known.funds,
            top_up_sun=self._top_up_sun(),
        )

    def _patience(self, name: AlertName) -> timedelta:
        """How long a dependency must fail; an alert that stands, also from before a restart, does until all is well."""
        return timedelta(0) if self._alarms.stands(name) else FAILING_FOR

    def _top_up_sun(self) -> int | None:
        price = self.engine.known.prices.rent_sun
        if price is None:
            return None
        rules = [policy.energy for policy in self.engine.policies.values() if policy.energy is not None]
        return sum(units.cost_sun(rule.rent_up_to, price) for rule in rules)

    # --- policies -------------------------------------------------------------------------------------------------

    async def reload(self) -> Reloaded:
        """Read the files again; all of them are taken over, or none. Of two at a time the later one waits."""
        async with self._reloading:
            self._manager.reloading(asyncio.get_running_loop().time())
            self._reloaded = None
            await self._job("reload", self._reload)
            self._manager.ready(self._status())
            return self._reloaded

    async def _reload(self) -> None:
        before = self._configuration
        self._reloaded = await self._files.again(self._take_over)
        after = self._configuration
        if not isinstance(self._reloaded, dict):
            return
        self._take_on_addresses()
        self._rounds.hurry(
            address
            for policy in after.policies
            if policy.enabled and policy not in before.policies
            for address in policy.watched()
        )
        await self._ledger.forgive_refusals()
        if (before.settings.node, before.settings.netts) != (after.settings.node, after.settings.netts):
            await self._refresh.everything()

    def _take_over(self, configuration: Configuration) -> None:
        settings = configuration.settings
        swap_chain, swap_netts = self._chain.prepare(settings.node), self._netts.prepare(settings.netts)
        swap_chain()
        swap_netts()
        self._log.adopt(settings.log.level)
        self._notifier.adopt(url.get_secret_value() for url in settings.alerts)
        self.engine.allow(settings.netts.limits, settings.netts.timeout)
        self.engine.adopt(configuration.policies)


def build(
    configuration: Configuration,
    *,
    mode: Mode,
    ledger: Ledger,
    log: Log,
    now: Callable[[], datetime],
    rng: Random,
    host: str,
    wire: httpx.AsyncBaseTransport | None = None,
    reload: Read | None = None,
    keep: Keep | None = None,
    rejected: ConfigFaults | None = None,
    manager: Manager | None = None,
) -> Daemon:
    """Put the daemon together. A daemon that is not live gets no buyer, and without one nothing can be spent."""
    vendor = configuration.settings.netts
    metrics = Metrics(ledger=ledger, log=log, now=now)
    chain = SwappableChain(configuration.settings.node, log=log, now=now, wire=wire, watch=metrics.watch("node"))
    netts = SwappableNetts(vendor, now=now, wire=wire, watch=metrics.watch("netts"))
    engine = Engine(
        chain=chain,
        account=netts,
        buyer=netts if mode is Mode.LIVE else None,
        ledger=ledger,
        log=log,
        now=now,
        rng=rng,
        host=host,
        limits=vendor.limits,
        request_deadline=vendor.timeout,
    )
    return Daemon(
        files=Reloading(configuration, read=reload, keep=keep, rejected=rejected, mode=mode, log=log),
        engine=engine,
        chain=chain,
        netts=netts,
        ledger=ledger,
        log=log,
        mode=mode,
        now=now,
        rng=rng,
        manager=manager or Manager({}),
        metrics=metrics,
        notifier=Notifier(meta=ledger, log=log, now=now, host=host),
    )


@contextlib.contextmanager
def signals(daemon: Daemon) -> Iterator[None]:
    """Signals only set things in motion: SIGTERM and SIGINT stop, SIGHUP reads the files again."""
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[Reloaded]] = set()

    def begin_reload() -> None:
        task = loop.create_task(daemon.reload(), name="reload")
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, daemon.stop)
    loop.add_signal_handler(signal.SIGHUP, begin_reload)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)
