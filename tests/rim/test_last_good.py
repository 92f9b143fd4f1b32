"""The last good policies on disk, files that are watched, and what a reload would change."""

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from energyd.config.difference import difference, said_of_budgets, spend_in_all
from energyd.config.last_good import keep, kept_beside, load_or_last_good, recall
from energyd.config.load import Configuration, load
from energyd.config.watch import Watch
from energyd.errors import ConfigFaults
from energyd.sandbox import addresses

ALICE, BOB, CAROL = (addresses.made_up(name) for name in ("alice", "bob", "carol"))
AT = datetime(2026, 1, 5, tzinfo=UTC)
KEY = "a-key-that-nobody-may-see"
ENVIRON = {"KEY": KEY, "PER_DAY": "400 TRX", "CREDENTIALS_DIRECTORY": "/nowhere"}
SETTINGS = 'mode: dry-run\nnetts: {api_key: "${KEY}"}\nstate: state/energyd.db\non_broken_policies: last_good\n'
PAYOUTS = f"""\
policy: payouts
addresses: [{ALICE}]
energy: {{floor: 65_000}}
budget: {{per_order: 15 TRX, per_hour: 60 TRX, per_day: "${{PER_DAY}}"}}
"""
PAYROLL = f"""\
policy: payroll
addresses: [{BOB}]
planned_calls:
  - name: wages
    cron: "0 9 * * fri"
    contract: TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t
    function: transfer(address,uint256)
    receivers: wages.csv
budget: {{per_order: 15 TRX, per_hour: 60 TRX, per_day: 100 TRX}}
"""


class Folder:
    """The files of a configuration."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name in ("policies", "state"):
            (path / name).mkdir()
        self.settings = self.write("energyd.yaml", SETTINGS)
        self.write("policies/payouts.yaml", PAYOUTS)
        self.write("policies/payroll.yaml", PAYROLL)
        self.write("policies/wages.csv", f"{CAROL},1500000\n")

    def write(self, name: str, text: str) -> Path:
        file = self.path / name
        file.write_text(text)
        return file

    def load(self) -> Configuration:
        return load(self.settings, ENVIRON)

    @property
    def kept(self) -> Path:
        return kept_beside(self.path / "state" / "energyd.db")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


# --- the last good set ----------------------------------------------------------------------------------------------


def test_what_was_kept_is_what_was_loaded_with_its_receivers(folder: Folder) -> None:
    loaded = folder.load()
    assert keep(loaded, ENVIRON, AT) is None
    for name in ("payouts.yaml", "payroll.yaml", "wages.csv"):
        (folder.path / "policies" / name).unlink()
    found = recall(loaded.settings.state, ENVIRON)
    assert found is not None
    assert (found.policies, found.taken_at) == (loaded.policies, AT)


def test_it_is_for_nobody_else_to_read_and_holds_variables_by_their_names_only(folder: Folder) -> None:
    keep(folder.load(), ENVIRON, AT)
    assert stat.S_IMODE(folder.kept.stat().st_mode) == 0o600
    text = folder.kept.read_text()
    assert "${PER_DAY}" in text
    assert KEY not in text
    assert "400 TRX" not in text
    assert [file.name for file in folder.kept.parent.iterdir()] == [folder.kept.name]


def test_files_that_are_not_the_loaded_ones_any_more_do_not_replace_the_last_good_set(folder: Folder) -> None:
    loaded = folder.load()
    keep(loaded, ENVIRON, AT)
    before = folder.kept.read_text()
    folder.write("policies/payouts.yaml", PAYOUTS.replace("65_000", "70_000"))
    assert "have changed meanwhile" in str(keep(loaded, ENVIRON, AT))
    assert folder.kept.read_text() == before


def test_a_set_that_means_something_else_by_now_is_not_used(folder: Folder) -> None:
    loaded = folder.load()
    keep(loaded, ENVIRON, AT)
    state = loaded.settings.state
    assert recall(state, ENVIRON | {"PER_DAY": "4000 TRX"}) is None
    assert recall(state, {name: ENVIRON[name] for name in ("KEY", "CREDENTIALS_DIRECTORY")}) is None
    folder.kept.write_text(folder.kept.read_text().replace("65_000", "650_000"))
    assert recall(state, ENVIRON) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"policies": 1}', '{"policies": {"/a": 1}, "receivers": {}}'])
def test_a_damaged_set_is_none(folder: Folder, text: str) -> None:
    folder.kept.write_text(text)
    assert recall(folder.path / "state" / "energyd.db", ENVIRON) is None


def test_a_state_folder_that_cannot_be_written_is_said(folder: Folder) -> None:
    loaded = folder.load()
    (folder.path / "state").rmdir()
    assert "not kept as the last good ones" in str(keep(loaded, ENVIRON, AT))


def test_broken_policies_start_with_the_last_good_set_where_that_is_wanted(folder: Folder) -> None:
    loaded = folder.load()
    assert load_or_last_good(folder.settings, ENVIRON) == (loaded, None)
    keep(loaded, ENVIRON, AT)
    folder.write("policies/payouts.yaml", PAYOUTS.replace("floor", "flor"))
    found, rejected = load_or_last_good(folder.settings, ENVIRON)
    assert (found.policies, found.digest) == (loaded.policies, loaded.digest)
    assert rejected is not None
    assert "did you mean 'floor'?" in str(rejected.faults[0])
    folder.write("energyd.yaml", SETTINGS.replace("last_good", "refuse"))
    with pytest.raises(ConfigFaults):
        load_or_last_good(folder.settings, ENVIRON)


def test_broken_settings_and_a_set_that_was_never_kept_are_refused(folder: Folder) -> None:
    folder.write("policies/payouts.yaml", PAYOUTS.replace("floor", "flor"))
    with pytest.raises(ConfigFaults):
        load_or_last_good(folder.settings, ENVIRON)
    folder.write("policies/payouts.yaml", PAYOUTS)
    keep(folder.load(), ENVIRON, AT)
    for broken in (SETTINGS.replace("mode", "mod"), SETTINGS.replace('{api_key: "${KEY}"}', "{}")):
        folder.write("energyd.yaml", broken)
        with pytest.raises(ConfigFaults):
            load_or_last_good(folder.settings, ENVIRON)


# --- files that are watched -----------------------------------------------------------------------------------------


def test_a_change_counts_once_two_looks_have_found_the_same(folder: Folder) -> None:
    watch = Watch(folder.settings, ENVIRON)
    watch.look()
    assert [watch.is_to_be_read() for _ in range(2)] == [False, False]
    folder.write("policies/payouts.yaml", PAYOUTS + "# more\n")
    assert not watch.is_to_be_read()
    folder.write("policies/payouts.yaml", PAYOUTS + "# even more\n")
    assert not watch.is_to_be_read()
    assert watch.is_to_be_read()
    watch.look()
    assert not watch.is_to_be_read()


@pytest.mark.parametrize("how", ["settings", "added", "removed", "receivers", "key", "link", "broken"])
def test_every_file_that_is_read_is_watched(folder: Folder, how: str) -> None:
    key = folder.write("key", "one")
    folder.write("energyd.yaml", SETTINGS.replace('api_key: "${KEY}"', "api_key_file: key"))
    watch = Watch(folder.settings, ENVIRON)
    watch.look()
    match how:
        case "settings":
            folder.write("energyd.yaml", SETTINGS)
        case "added":
            folder.write("policies/third.yaml", "policy: third\n")
        case "removed":
            (folder.path / "policies" / "payroll.yaml").unlink()
        case "receivers":
            folder.write("policies/wages.csv", f"{CAROL},1\n{ALICE},2\n")
        case "key":
            key.write_text("another")
        case "link":
            other = folder.write("other", PAYOUTS)
            (folder.path / "policies" / "payouts.yaml").unlink()
            (folder.path / "policies" / "payouts.yaml").symlink_to(other)
        case "broken":
            folder.write("energyd.yaml", "mode: [")
    assert [watch.is_to_be_read() for _ in range(2)] == [False, True]


# --- what a reload would change -------------------------------------------------------------------------------------


def changed(folder: Folder, old: str, new: str) -> list[tuple[str, str | None, str | None]]:
    """The changed keys of the one policy that a replacement in its file changes."""
    before = folder.load().policies
    folder.write("policies/payouts.yaml", PAYOUTS.replace(old, new))
    (changes,) = difference(before, folder.load().policies).changed.values()
    return [(change.key, change.before, change.after) for change in changes]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("65_000", "70_000", ("energy.floor", "65_000", "70_000")),
        ("65_000}", "65_000, target: 131_000}", ("energy.target", None, "131_000")),
        ("65_000}", "65_000, check_every: 1m}", ("energy.check_every", "15s", "1m")),
        ("65_000}", "65_000, max_price: 60 sun}", ("energy.max_price", None, "60 sun")),
        ("15 TRX", "20 TRX", ("budget.per_order", "15 TRX", "20 TRX")),
        ("policy: payouts", "policy: payouts\nenabled: false", ("enabled", "true", "false")),
    ],
)
def test_a_changed_key_is_shown_as_a_person_would_write_it(
    folder: Folder, old: str, new: str, said: tuple[str, str | None, str | None]
) -> None:
    assert changed(folder, old, new) == [said]


def test_the_keys_below_a_budget_that_becomes_unlimited_are_gone(folder: Folder) -> None:
    found = changed(folder, PAYOUTS[PAYOUTS.index("budget") :], "budget: unlimited\n")
    assert ("budget", None, "unlimited") in found
    assert ("budget.per_day", "400 TRX", None) in found
    assert spend_in_all(folder.load().policies) is None


def test_receivers_and_windows_that_change_are_changes(folder: Folder) -> None:
    before = folder.load().policies
    folder.write("policies/wages.csv", f"{CAROL},1\n{ALICE},2\n")
    found = difference(before, folder.load().policies)
    assert [change.key for change in found.changed["payroll"]] == ["planned_calls.wages.receivers"]
    week = "65_000, keep: [{days: mon-fri, from: 08:00, to: 18:00}]}"
    folder.write("policies/payouts.yaml", PAYOUTS.replace("65_000}", week))
    (keeping,) = difference(before, folder.load().policies).changed["payouts"]
    assert keeping.key == "energy.keep"
    assert keeping.after == "mon,tue,wed,thu,fri 08:00 18:00 UTC"


def test_addresses_that_come_go_and_move_and_the_most_that_can_be_spent(folder: Folder) -> None:
    before = folder.load().policies
    folder.write("policies/payouts.yaml", PAYOUTS.replace("policy: payouts", "policy: payments"))
    folder.write("policies/payroll.yaml", PAYROLL.replace(BOB, CAROL))
    found = difference(before, folder.load().policies)
    assert (found.added, found.removed, list(found.changed)) == (("payments",), ("payouts",), ["payroll"])
    moves = {(each.address, each.before, each.after) for each in found.addresses}
    assert moves == {(ALICE, "payouts", "payments"), (BOB, "payroll", None), (CAROL, None, "payroll")}
    assert (found.spend_before, found.spend_after) == (500_000_000, 500_000_000)
    assert "payouts to payments" in str(said_of_budgets(found))
    assert difference(before, before).is_none
