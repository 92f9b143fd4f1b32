"""Policies that are changed while the daemon runs: watched files, the last good set, and `check --diff`."""

from .program import ALICE, BOB, POLICY, Host, Sandbox


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
    assert host.run("check", "--diff").out.startswith("nothing: these are the policies")
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


def test_check_diff_of_broken_files_names_the_faults(sandbox: Sandbox, host: Host) -> None:
    host = Host(host.folder / "faults", sandbox.url)
    host.write("policies/payouts.yaml", POLICY.replace("floor", "flor"))
    as_text, as_json = host.run("check", "--diff"), host.run("check", "--diff", "--json")
    assert (as_text.status, as_json.status) == (78, 78)
    assert "did you mean 'floor'?" in as_text.err
    assert as_json.json["ok"] is False
    assert host.run("check", "--diff", "policies").status == 2
