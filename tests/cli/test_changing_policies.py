"""Policies and settings that are changed while the daemon runs: watched files, the last good set, `check --diff`."""

import json
import signal
import stat

import pytest

from .program import ALICE, BOB, POLICY, Host, Sandbox

KEYS = ("a-node-key-nobody-sees", "another-node-key", "an-alert-token", "another-netts-key")


def with_settings(host: Host, **settings: str) -> None:
    text = (host.folder / "energyd.yaml").read_text()
    host.write("energyd.yaml", text + "".join(f"{key}: {value}\n" for key, value in settings.items()))


def test_a_watched_file_is_taken_over_when_it_is_saved(sandbox: Sandbox, host: Host) -> None:
    host = Host(host.folder / "watching", sandbox.url)
    with_settings(host, watch="true")
    with host.started("run", "--dry-run") as daemon:
        daemon.until_event("daemon.ready")
        host.write("policies/payouts.yaml", POLICY.replace("65_000", "70_000"))
        daemon.until_event("policies.loaded", times=2)
        host.write("policies/payouts.yaml", POLICY.replace("floor", "flor"))
        daemon.until_event("policies.rejected")
        host.write("policies/payouts.yaml", POLICY)
        daemon.until_event("policies.loaded", times=3)
        assert daemon.stop() < 5
        assert daemon.err == ""
    loaded = [line for line in daemon.events if line["event"] == "policies.loaded"]
    assert [line["changed"] for line in loaded] == [[], ["payouts"], ["payouts"]]


def test_broken_files_start_with_the_last_good_ones_or_not_at_all(sandbox: Sandbox, host: Host) -> None:
    host = Host(host.folder / "broken", sandbox.url)
    assert host.run("run", "--once", "--dry-run").status == 0
    host.write("policies/payouts.yaml", POLICY.replace("floor", "flor"))
    refused = host.run("run", "--once", "--dry-run")
    assert (refused.status, refused.out) == (78, "")
    with_settings(host, on_broken_policies="last_good")
    with host.started("run", "--dry-run") as daemon:
        daemon.until_event("decision")
        daemon.until_event("alert.raised")
        host.write("policies/payouts.yaml", POLICY)
        assert host.run("reload").status == 0
        daemon.until_event("alert.cleared")
        daemon.stop()
    assert daemon.names()[:3] == ["daemon.started", "policies.rejected", "policies.loaded"]
    assert "last good policies" in daemon.events[2]["detail"]
    assert [line["alert"] for line in daemon.events if line["event"].startswith("alert.")] == ["policies_rejected"] * 2


def test_check_diff_shows_what_a_reload_would_change(sandbox: Sandbox, host: Host) -> None:
    host = Host(host.folder / "diff", sandbox.url)
    nothing = host.run("check", "--diff")
    assert (nothing.status, nothing.out) == (1, "")
    assert "start it first" in nothing.err
    host.run("run", "--once", "--dry-run")
    assert host.run("check", "--diff").out.startswith(
        "nothing: these are the policies and settings that were taken over at"
    )
    host.write("policies/payouts.yaml", POLICY.replace("65_000", "70_000").replace("400 TRX", "300 TRX"))
    host.write("policies/second.yaml", POLICY.replace("policy: payouts", "policy: second").replace(ALICE, BOB))
    shown = host.run("check", "--diff")
    assert shown.status == 0
    assert "energy.floor: 65_000 → 70_000" in shown.out
    assert f"+ {BOB}, by second" in shown.out
    assert "it can spend at most 700 TRX in a day; before: at most 400 TRX" in shown.out
    row = host.run("check", "--diff", "--json").json
    assert (row["ok"], row["added"], row["removed"]) == (True, ["second"], [])
    changes = [(each["key"], each["before"], each["after"]) for each in row["changed"][0]["changes"]]
    assert changes == [("energy.floor", "65_000", "70_000"), ("budget.per_day", "400 TRX", "300 TRX")]
    assert row["spend_a_day_max_trx"] == {"before": 400, "after": 700}


def shown_settings(host: Host) -> dict[str, tuple[str | None, str | None, str]]:
    rows = host.run("check", "--diff", "--json").json["settings"]
    return {row["key"]: (row["before"], row["after"], row["acts_with"]) for row in rows}


def test_check_diff_says_of_a_running_daemon_which_settings_act_with_a_reload_and_which_with_a_restart(
    sandbox: Sandbox, host: Host
) -> None:
    host = Host(host.folder / "settings", sandbox.url)
    settings = host.folder / "energyd.yaml"
    first = settings.read_text()
    with host.started("run", "--dry-run") as daemon:
        daemon.until_event("policies.loaded")
        assert shown_settings(host) == {}
        settings.write_text(
            first.replace("mode: live", "mode: dry-run")
            .replace("max_rps: 100", "max_rps: 50")
            .replace("energyd.sock", "x")
            + "log: {level: debug, format: console}\n"
        )
        expected = {
            "node.max_rps": ("100", "50", "reload"),
            "log.level": ("info", "debug", "reload"),
            "mode": ("live", "dry-run", "restart"),
            "listen": (f"unix:{host.folder}/energyd.sock", f"unix:{host.folder}/x", "restart"),
            "log.format": (None, "console", "restart"),
        }
        assert shown_settings(host) == expected
        as_text = host.run("check", "--diff").out
        assert "~ settings that act with a reload\n    node.max_rps: 100 → 50\n" in as_text
        assert "~ settings that act with a restart\n    mode: live → dry-run\n" in as_text
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until_event("policies.loaded", times=2)
        waiting = {key: row for key, row in expected.items() if row[2] == "restart"}
        assert shown_settings(host) == waiting
        daemon.stop()
    assert host.run("run", "--once").status == 0
    assert shown_settings(host) == {}


def test_check_diff_says_that_a_secret_has_changed_and_never_which_it_is(sandbox: Sandbox, host: Host) -> None:
    host = Host(host.folder / "secrets", sandbox.url)
    text = (host.folder / "energyd.yaml").read_text()
    with_keys = text.replace("max_rps: 100", f"max_rps: 100, api_keys: [{KEYS[0]}]")
    host.write("energyd.yaml", with_keys)
    assert host.run("run", "--once", "--dry-run").status == 0
    kept = host.folder / "energyd.running.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert not [key for key in (*KEYS, host.environment["NETTS_API_KEY"]) if key in kept.read_text()]
    assert "node.url" not in json.loads(kept.read_text())["settings"], "a key may stand in its path"
    changed = with_keys.replace(KEYS[0], KEYS[1]).replace("${NETTS_API_KEY}", KEYS[3])
    host.write("energyd.yaml", f"{changed}alerts: ['json://127.0.0.1:9/{KEYS[2]}']\n")
    as_text, as_json = host.run("check", "--diff"), host.run("check", "--diff", "--json")
    for key in ("node.api_keys", "netts.api_key", "alerts"):
        assert f"    {key}: changed\n" in as_text.out
    assert "restart it" in as_text.out
    assert all(row["secret"] and row["before"] is row["after"] is None for row in as_json.json["settings"])
    assert not [key for key in KEYS if key in as_text.out + as_json.out]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"taken_at": 1}'])
def test_check_diff_says_when_it_is_not_known_what_settings_run(sandbox: Sandbox, host: Host, text: str) -> None:
    host = Host(host.folder / "unknown", sandbox.url)
    host.run("run", "--once", "--dry-run")
    host.write("energyd.running.json", text)
    assert "settings were not compared" in host.run("check", "--diff").out
    assert host.run("check", "--diff", "--json").json["settings"] is None


def test_a_key_that_only_the_daemon_finds_is_not_compared(sandbox: Sandbox, host: Host) -> None:
    host = Host(host.folder / "credential", sandbox.url)
    host.run("run", "--once", "--dry-run")
    settings = host.folder / "energyd.yaml"
    settings.write_text(settings.read_text().replace('api_key: "${NETTS_API_KEY}", ', ""))
    row = host.run("check", "--diff", "--json").json
    assert (row["settings"], row["settings_not_compared"]) == ([], ["netts.api_key"])


def test_check_diff_of_broken_files_names_the_faults(sandbox: Sandbox, host: Host) -> None:
    host = Host(host.folder / "faults", sandbox.url)
    host.write("policies/payouts.yaml", POLICY.replace("floor", "flor"))
    as_text, as_json = host.run("check", "--diff"), host.run("check", "--diff", "--json")
    assert (as_text.status, as_json.status) == (78, 78)
    assert "did you mean 'floor'?" in as_text.err
    assert as_json.json["ok"] is False
    assert host.run("check", "--diff", "policies").status == 2
