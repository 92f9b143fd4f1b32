"""What `--help` says of each command beside its words and options: data, examples, exit status.

The address of the examples stands in policies/payouts.yaml.
"""

from energyd.cli.exits import Exit
from energyd.cli.help import Manual

_HOT = "TBNkMVstgu62GzcDGsEnnr8aFgj5jtEoWA"
_A_TRANSFER = (
    "    --contract TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t \\\n"
    "    --function 'transfer(address,uint256)' \\\n"
    "    --arg TKPga1Bt7P4XXfqFUTMupBPt4fEawMUJHo --arg 1000000"
)
_MOMENT = "2026-12-24T09:00:00+01:00"

_LEDGER = "Reads energyd.yaml, its policies and the ledger file (`state`); the daemon need not run. Changes nothing."
_DAEMON = "Asks the running daemon, on the socket or address that energyd.yaml names as `listen`."
_NOTHING = "Reads no file and asks nobody."

_FAULT = "a fault in energyd.yaml or a policy file, named as file:line:column"
_SETTINGS_FAULT = "a fault in energyd.yaml, named as file:line:column"
_NO_LEDGER = "there is no ledger yet, or it cannot be read"
_NO_DAEMON = "no daemon listens"


def _exits(done: str, failed: str = "", config: str = "", interrupted: str = "") -> dict[Exit, str]:
    """The statuses that a command has; wrong usage can happen to all."""
    said = {
        Exit.DONE: done,
        Exit.FAILED: failed,
        Exit.USAGE: "wrong usage",
        Exit.CONFIG: config,
        Exit.INTERRUPTED: interrupted,
    }
    return {status: text for status, text in said.items() if text}


def _acting(done: str, failed: str) -> dict[Exit, str]:
    """Of a command that the daemon does something for."""
    return _exits(done, f"{failed}, or {_NO_DAEMON}", _SETTINGS_FAULT)


_HOST_DATA = f"{_DAEMON} It is recorded in the ledger, as `energyd host list --json` shows. Needs no private key."
_NOT_DONE = "Netts refused or its answer was unclear, you said no"

MANUAL = {
    "": Manual(
        data=(
            "Where a command reads energyd.yaml: --config FILE, else $ENERGYD_CONFIG, else ./energyd.yaml, else "
            "/etc/energyd/energyd.yaml. No command needs a private key: energyd spends a prepaid balance at Netts.\n\n"
            "DURATION is written 90s, 3m, 1h30m or 2d; MOMENT 2026-12-24T09:00:00+01:00 or ...Z; AMOUNT '15 TRX' or "
            "'60 sun'; ENERGY a whole number such as 65000 or 65_000, about one USDT transfer; ADDRESS in base58: T..."
        ),
        examples=(
            ("a simulated day; no account, no network, no root", "energyd demo"),
            ("is everything right?", "energyd check && energyd doctor"),
            ("decide and log only", "energyd run --dry-run"),
            ("what is each command for?", "energyd ensure --help"),
        ),
        exits=_exits(
            "done",
            "it failed, as standard error says",
            _FAULT,
            "ended with Ctrl-C",
        ),
    ),
    "run": Manual(
        data=(
            "Reads energyd.yaml and its policies, asks the TRON node and Netts, and writes the ledger (`state`), which "
            "one daemon at a time may hold. Logs to standard output. In `mode: live` it spends at Netts, never more "
            "than the budgets allow; with --dry-run it cannot spend. Needs no private key."
        ),
        examples=(
            ("the daemon, as the settings say", "energyd run --config /etc/energyd/energyd.yaml"),
            ("look on without spending", "energyd run --dry-run"),
            ("one decision for every address, then the end", "energyd run --dry-run --once"),
        ),
        exits=_exits(
            "ended by SIGTERM or Ctrl-C, or --once is done",
            "another daemon holds the ledger, `listen` cannot be had, or the ledger fails",
            _FAULT,
        ),
    ),
    "check": Manual(
        data=(
            "Reads files. Without PATH it also asks the node and Netts, for 8 seconds at most; what they cannot say is "
            "a note and no fault. --diff compares with what the daemon keeps beside its ledger. Spends nothing."
        ),
        examples=(
            ("the configuration and its policies", "energyd check"),
            ("policies alone, on any machine", "energyd check policies/"),
            ("what a reload or a restart would change", "energyd check --diff"),
            ("in a CI job", "energyd check --offline --json"),
        ),
        exits=_exits("no faults", "--diff: nothing is known of what the daemon runs", _FAULT),
    ),
    "schema": Manual(
        data=_NOTHING,
        examples=(
            ("for an editor that completes and checks", "energyd schema policy > policy.schema.json"),
            ("of energyd.yaml", "energyd schema config"),
        ),
        exits=_exits("printed"),
    ),
    "demo": Manual(
        data=f"{_NOTHING} Everything in it is pretended and forgotten at its end.",
        examples=(
            ("a whole day", "energyd demo"),
            ("its log as JSON lines", "energyd demo --hours 2 --seed 7 --json"),
        ),
        exits=_exits("the day is over", interrupted="ended with Ctrl-C"),
    ),
    "sandbox": Manual(
        data=(
            "Serves HTTP on 127.0.0.1 and prints an energyd.yaml for it. Nothing in it is real or kept: no TRX, no "
            "energy, no account. Goes on until Ctrl-C or SIGTERM."
        ),
        examples=(
            ("on its usual port", "energyd sandbox"),
            (
                "a poor account and slow deliveries, on any free port",
                "energyd sandbox --port 0 --balance '20 TRX' --delivery 90s",
            ),
        ),
        exits=_exits("ended"),
    ),
    "status": Manual(
        data=_LEDGER,
        examples=(("for people", "energyd status"), ("for programs", "energyd status --json")),
        exits=_exits("printed", _NO_LEDGER, _FAULT),
    ),
    "decisions": Manual(
        data=_LEDGER,
        examples=(
            ("what changed in the last two hours", "energyd decisions --since 2h --changes"),
            ("one address, as it happens", f"energyd decisions --address {_HOT} --follow"),
        ),
        exits=_exits("printed, also when there are none", _NO_LEDGER, _FAULT, "--follow was ended with Ctrl-C"),
    ),
    "explain": Manual(
        data=_LEDGER,
        examples=(("every figure behind the last decision", f"energyd explain {_HOT}"),),
        exits=_exits("printed", f"no decision about the address is known, {_NO_LEDGER}", _FAULT),
    ),
    "plan": Manual(
        data=(
            "Reads energyd.yaml, its policies and, if there is one, the ledger; asks the node and Netts, not the "
            "daemon. Orders and changes nothing. What cannot be asked is said, and left out of the plan."
        ),
        examples=(
            ("the next 24 hours, live or not", "energyd plan"),
            ("of settings that are not in use yet", "energyd plan --config energyd.new.yaml --json"),
        ),
        exits=_exits("printed, also with gaps", "the ledger cannot be read", _FAULT),
    ),
    "report": Manual(
        data=f"{_LEDGER} Amounts are TRX, days are those of UTC.",
        examples=(
            ("today", "energyd report"),
            (
                "November by day, for a spreadsheet",
                "energyd report --from 2026-11-01 --to 2026-12-01 --by day --csv",
            ),
            ("the last seven days", "energyd report --from 7d --by address"),
        ),
        exits=_exits("printed, also when nothing was ordered", _NO_LEDGER, _FAULT),
    ),
    "doctor": Manual(
        data=(
            "Asks the node, Netts and the daemon, and reads the ledger. Orders nothing and leaves a running daemon in "
            "peace. Never shows a key."
        ),
        examples=(("one line for each thing", "energyd doctor"), ("for a monitor", "energyd doctor --json")),
        exits=_exits("all is well, perhaps with warnings", "something is broken", _FAULT),
    ),
    "ensure": Manual(
        data=(
            f"{_DAEMON} In `mode: live` this spends, within the price limit and the budget of the address's policy. "
            "Needs no private key, and does not make the contract call."
        ),
        examples=(
            ("for one USDT transfer, kept for 20 minutes", f"energyd ensure {_HOT} --energy 65_000 --for 20m"),
            (
                "let the node say how much; pay only when it is there",
                f"energyd ensure {_HOT} \\\n{_A_TRANSFER} && ./pay",
            ),
            (
                "wait a minute at most; again with the same key is no second request",
                f"energyd ensure {_HOT} --energy 65_000 \\\n    --timeout 1m --key payout-1041",
            ),
        ),
        exits=_acting("the energy is on chain and kept for this caller", "it did not come in time, or was refused"),
    ),
    "pause": Manual(
        data=(
            f"{_DAEMON} While none runs, it writes the pause into the ledger, and the daemon keeps to it from its "
            "start on. Orders that have left are not recalled, and energy that is rented stays."
        ),
        examples=(
            ("stop all spending until `energyd resume`", "energyd pause --reason maintenance"),
            ("one policy for two hours", "energyd pause --policy payouts --for 2h"),
        ),
        exits=_exits("it is paused", "there is no such policy or address, or no daemon and no ledger", _FAULT),
    ),
    "resume": Manual(
        data=f"{_DAEMON} While none runs, it writes into the ledger.",
        examples=(
            ("what `energyd pause` stopped", "energyd resume"),
            ("the pause of one policy", "energyd resume --policy payouts"),
        ),
        exits=_exits("it goes on", "it was not paused, or no daemon and no ledger", _SETTINGS_FAULT),
    ),
    "reload": Manual(
        data=(
            f"{_DAEMON} The daemon reads its own files, with its own environment; SIGHUP does the same. Rentals and "
            "orders on their way go on. It says which settings wait for a restart."
        ),
        examples=(("look first, then do it", "energyd check --diff && energyd reload"),),
        exits=_exits("taken over", _NO_DAEMON, "the files have faults; nothing was taken over"),
    ),
    "version": Manual(data=_NOTHING, examples=(("the version", "energyd version"),), exits=_exits("printed")),
    "orders": Manual(
        data=_LEDGER,
        examples=(
            ("the newest 50", "energyd orders"),
            ("what one policy ordered since yesterday, as JSON", "energyd orders --policy payouts --since 1d --json"),
        ),
        exits=_exits("printed, also when there are none", _NO_LEDGER, _FAULT),
    ),
    "orders settle": Manual(
        data=(
            f"{_DAEMON} While none runs, it writes into the ledger. Believes you: it cannot look into the account. "
            "Orders nothing by itself."
        ),
        examples=(
            ("which are unresolved", "energyd orders --since 2d"),
            ("the account at Netts shows it", "energyd orders settle 5dfbd3d1 --placed"),
            ("the account does not", "energyd orders settle 5dfbd3d1 --not-placed"),
        ),
        exits=_exits("settled", "no such order, or it is not unresolved", _SETTINGS_FAULT),
    ),
    "calls": Manual(
        data="See `energyd calls list --help` and the others.",
        examples=(("what is planned", "energyd calls list"),),
        exits=_exits("done", "it failed, as standard error says", _FAULT),
    ),
    "calls list": Manual(
        data=(
            "Reads energyd.yaml, its policies and, if there is one, the ledger; asks the node for estimates and Netts "
            "for the price, unless --offline. Changes nothing."
        ),
        examples=(
            ("with estimates and what they cost today", "energyd calls list"),
            ("of one address, without a network", f"energyd calls list --address {_HOT} --offline"),
        ),
        exits=_exits("printed, also when there are none", "the ledger cannot be read", _FAULT),
    ),
    "calls add": Manual(
        data=(
            f"{_DAEMON} It keeps the call in the ledger and, in `mode: live`, rents energy for it when the time comes. "
            "It does not make the call, and needs no private key."
        ),
        examples=(
            (
                "energy for a payroll of 40 transfers",
                f"energyd calls add {_HOT} --energy 2_600_000 \\\n    --at {_MOMENT} --hold 40m --name payroll",
            ),
            (
                "or let the node say how much",
                f"energyd calls add {_HOT} \\\n    --at {_MOMENT} --count 40 \\\n{_A_TRANSFER}",
            ),
        ),
        exits=_acting("it is planned", "the daemon refuses it, as it says"),
    ),
    "calls cancel": Manual(
        data=f"{_DAEMON} What was rented for the call stays rented.",
        examples=(("by the id that `calls list` shows", "energyd calls cancel 5dfbd3d1"),),
        exits=_acting("it is cancelled", "no such call, or it is over"),
    ),
    "host": Manual(
        data="See `energyd host list --help` and the others.",
        examples=(("what is counted", "energyd host list"),),
        exits=_exits("done", "it failed, as standard error says", _SETTINGS_FAULT),
    ),
    "host list": Manual(
        data=f"{_DAEMON} Changes nothing.",
        examples=(("the cycles that are left", "energyd host list"),),
        exits=_acting("printed", "the daemon cannot say"),
    ),
    "host add": Manual(
        data=f"{_HOST_DATA} Buys no cycles.",
        examples=(("put it there", f"energyd host add {_HOT}"),),
        exits=_acting("done", _NOT_DONE),
    ),
    "host order": Manual(
        data=(
            f"{_DAEMON} This spends, whatever budget and price limit the policy has, and only in `mode: live`. Needs "
            "no private key."
        ),
        examples=(
            ("ten more, after a look at the price", f"energyd host order {_HOT} 10"),
            ("in a script", f"energyd host order {_HOT} 10 --yes --json"),
        ),
        exits=_acting("Netts took the order", _NOT_DONE),
    ),
    "host infinity": Manual(
        data=f"{_HOST_DATA} Netts bills each day from then on, whatever the budget says.",
        examples=(("cycles without end", f"energyd host infinity {_HOT}"),),
        exits=_acting("done", _NOT_DONE),
    ),
    "host stop": Manual(
        data=_HOST_DATA,
        examples=(("end it", f"energyd host stop {_HOT}"),),
        exits=_acting("done", _NOT_DONE),
    ),
    "host remove": Manual(
        data=_HOST_DATA,
        examples=(("take it out", f"energyd host remove {_HOT}"),),
        exits=_acting("done", _NOT_DONE),
    ),
    "host confirm-key": Manual(
        data=f"{_DAEMON} From then on its policies order cycles by this count, within their budgets.",
        examples=(("after a look at the account", "energyd host confirm-key cycles_left"),),
        exits=_acting("the count is believed", "no count was ever found under it, you said no"),
    ),
}
