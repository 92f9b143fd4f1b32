"""Commands that run something: the daemon, the demo, the sandbox."""

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from energyd.cli import options

if TYPE_CHECKING:
    from energyd.config.load import Configuration
    from energyd.config.watch import Watch
    from energyd.errors import ConfigFaults


def run(
    config: options.Config = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Decide and log, and spend nothing, whatever `mode` energyd.yaml says.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="Take one decision for every address, then end.")] = False,
) -> None:
    """Run the daemon: watch the addresses, rent by the policies.

    SIGTERM and Ctrl-C end it, SIGHUP makes it read its files again.
    """
    from energyd.config.last_good import load_or_last_good
    from energyd.config.load import find_settings
    from energyd.config.watch import Watch

    watch = Watch(find_settings(config, os.environ), os.environ)
    watch.look()
    configuration, rejected = load_or_last_good(watch.path, os.environ)
    asyncio.run(_run(configuration, rejected, watch, dry_run=dry_run, once=once))


async def _run(
    configuration: "Configuration", rejected: "ConfigFaults | None", watch: "Watch", *, dry_run: bool, once: bool
) -> None:
    import socket
    from datetime import UTC, datetime
    from random import SystemRandom

    from energyd import daemon
    from energyd.config import last_good, running
    from energyd.config.load import load
    from energyd.config.watch import follow
    from energyd.ledger.ledger import Ledger
    from energyd.model import Mode
    from energyd.systemd import Manager, find_journal
    from energyd.telemetry import Log

    def now() -> datetime:
        return datetime.now(UTC)

    def read_again() -> "Configuration":
        watch.look()
        return load(watch.path, os.environ)

    def keep(taken_over: "Configuration") -> str | None:
        said = running.keep(taken_over.settings, now()), last_good.keep(taken_over, os.environ, now())
        return "; ".join(filter(None, said)) or None

    settings = configuration.settings
    form = settings.log.format or ("console" if sys.stdout.isatty() else "json")
    journal = find_journal(os.environ, sys.stdout)
    host = socket.gethostname()
    rng = SystemRandom()
    ledger = Ledger.open(settings.state, now=now(), host=host, rng=rng)
    built = daemon.build(
        configuration,
        mode=Mode.DRY_RUN if dry_run else settings.mode,
        ledger=ledger,
        log=Log(now=now, form=form, level=settings.log.level, journal=journal.write if journal else None),
        now=now,
        rng=rng,
        host=host,
        reload=read_again,
        keep=keep,
        rejected=rejected,
        manager=Manager(os.environ),
    )
    following = asyncio.create_task(follow(watch, built.reload, wanted=lambda: built.watches_files))
    try:
        with daemon.signals(built):
            await built.run(once=once, listen=not once)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def demo(
    json: Annotated[
        bool,
        typer.Option("--json", help="Print the log, JSON lines, and nothing else."),
    ] = False,
    hours: Annotated[
        int, typer.Option("--hours", metavar="HOURS", min=1, max=72, help="How many simulated hours, 1 to 72.")
    ] = 24,
    seed: Annotated[
        int, typer.Option("--seed", metavar="NUMBER", help="Chance: the same number gives the same day.")
    ] = 1,
) -> None:
    """Run the real daemon through a simulated day.

    A pretend node, a pretend Netts and a clock whose hours pass at once: no account, no network, no root.
    """
    from energyd.cli.demo import show

    show(hours=hours, seed=seed, json=json)


def sandbox(
    port: Annotated[
        int,
        typer.Option(
            "--port", metavar="PORT", min=0, max=65535, help="Where to listen on 127.0.0.1; 0: any that is free."
        ),
    ] = 8490,
    seed: Annotated[int, typer.Option("--seed", metavar="NUMBER", help="Chance: delays and prices.")] = 1,
    balance: Annotated[
        str, typer.Option("--balance", metavar="AMOUNT", help="What the pretend account holds, as '20 TRX'.")
    ] = "1000 TRX",
    delivery: Annotated[
        str, typer.Option("--delivery", metavar="DURATION", help="How long rented energy takes to arrive, as 90s.")
    ] = "3s",
) -> None:
    """Serve a simulated node and a simulated Netts on loopback.

    For trying policies and for tests of other programs, with the real `energyd run` against it.
    """
    from energyd.cli.serve_sandbox import serve

    serve(port=port, seed=seed, balance=balance, delivery=delivery)
