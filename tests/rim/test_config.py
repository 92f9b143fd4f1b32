"""What good files become: settings, policies, a digest, and a word about what may surprise."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from energyd.config.advice import idle_day_energy, netts_requests, node_requests, spend_a_day_max
from energyd.config.load import Configuration, load, load_policies
from energyd.config.settings import Settings, TcpSocket, UnixSocket
from energyd.errors import ConfigFaults
from energyd.fields import PriceLimit, TimeOfDay
from energyd.model import Mode, OrderLimits
from energyd.policy import Budget, EnergyRule, KeepWindow, Policy

ROOT = Path(__file__).parents[2]
FULL = Path(__file__).parent / "faults" / "full-policy.yaml"
HOT, SECOND = "TBNkMVstgu62GzcDGsEnnr8aFgj5jtEoWA", "TCfeRBUgPhQ2fJzbXeYuGCe56CjQ6UJW3S"
KEY = {"NETTS_API_KEY": "a-key-of-netts"}
SMALL = f"policy: small\naddresses: [{HOT}]\nenergy: {{floor: 65_000}}\nbudget: unlimited\n"


def configured(tmp_path: Path, settings: str = "", policy: str = SMALL, environ: dict[str, str] = KEY) -> Configuration:
    """A configuration of these settings below a mode and a key, and of this one policy."""
    (tmp_path / "policies").mkdir(exist_ok=True)
    (tmp_path / "policies" / "small.yaml").write_text(policy)
    key = "" if "netts:" in settings else "netts: {api_key: '${NETTS_API_KEY}'}\n"
    (tmp_path / "energyd.yaml").write_text(f"mode: dry-run\n{key}{settings}")
    return load(tmp_path / "energyd.yaml", environ)


def only(text: str, tmp_path: Path) -> Policy:
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    return load_policies([file], {}).policies[0]


# --- settings -------------------------------------------------------------------------------------------------------


def test_the_example_settings_and_policies_pass_in_a_fresh_clone() -> None:
    configuration = load(ROOT / "energyd.example.yaml", {}, need_key=False)
    assert {policy.name for policy in configuration.policies} == {"payouts", "office-hours", "treasury", "fleet"}
    assert [advice.text for advice in configuration.advice] == [
        "there is no key for Netts yet; the daemon does not start without one",
    ]


def test_the_example_settings_are_the_defaults_but_for_the_paths() -> None:
    written = load(ROOT / "energyd.example.yaml", {}, need_key=False).settings
    paths = {"policies", "state", "listen"}
    assert written.model_dump(exclude=paths) == Settings(mode=Mode.DRY_RUN).model_dump(exclude=paths)


def test_relative_paths_start_at_the_settings_file(tmp_path: Path) -> None:
    settings = configured(tmp_path, "state: run/energyd.db\nlisten: unix:run/energyd.sock\n").settings
    assert settings.state == tmp_path / "run/energyd.db"
    assert settings.listen == UnixSocket(tmp_path / "run/energyd.sock")
    assert settings.policies == tmp_path / "policies"


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [("127.0.0.1:8480", "127.0.0.1", 8480), ("'[::1]:8480'", "::1", 8480), ("localhost:1", "localhost", 1)],
)
def test_the_control_api_listens_on_this_machine(listen: str, host: str, port: int, tmp_path: Path) -> None:
    settings = configured(tmp_path, f"listen: {listen}\nlisten_token: open-sesame-open-sesame\n").settings
    assert settings.listen == TcpSocket(host, port)
    assert settings.token() == "open-sesame-open-sesame"


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("policies", ["a", "b"]),
        ("policies/a.yml", ["a"]),
        ("policies/*.yaml", ["b"]),
        ("policies/**/*.yaml", ["b", "c"]),
    ],
)
def test_policies_are_a_folder_a_file_or_a_glob(where: str, names: list[str], tmp_path: Path) -> None:
    (tmp_path / "policies/deep").mkdir(parents=True)
    addresses = {"a.yml": HOT, "b.yaml": SECOND, "deep/c.yaml": "TNbv2o9XnkMAtKdUP5f2uHPPB5sDMqhej1"}
    for file, address in addresses.items():
        text = SMALL.replace("small", Path(file).stem).replace(HOT, address)
        (tmp_path / "policies" / file).write_text(text)
    (tmp_path / "energyd.yaml").write_text(f"mode: dry-run\nnetts: {{api_key: a-key}}\npolicies: {where}\n")
    assert [policy.name for policy in load(tmp_path / "energyd.yaml", {}).policies] == names


def test_the_key_may_come_from_a_file_or_from_systemd(tmp_path: Path) -> None:
    (tmp_path / "netts_api_key").write_text("key-of-a-file\n")
    from_file = configured(tmp_path, "netts: {api_key_file: netts_api_key}\n")
    assert from_file.settings.netts.key() == "key-of-a-file"
    credentials = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert configured(tmp_path, "netts: {}\n", environ=credentials).settings.netts.key() == "key-of-a-file"
    assert configured(tmp_path, environ=KEY | credentials).settings.netts.key() == "a-key-of-netts"


@pytest.mark.parametrize("content", ["", "two words", "k" * 5000, "schlüssel"])
def test_a_file_that_holds_no_key_is_a_fault_that_does_not_show_it(content: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(content)
    with pytest.raises(ConfigFaults, match=r"energyd\.yaml:2:23: the ") as raised:
        configured(tmp_path, "netts: {api_key_file: key}\n")
    assert not content or content not in str(raised.value)


def test_no_secret_shows_in_a_configuration(tmp_path: Path) -> None:
    secrets = {"A": "s3cr3t-node", "B": "json://host/s3cr3t-token", "NETTS_API_KEY": "s3cr3t-netts"}
    configuration = configured(tmp_path, 'node: {api_keys: ["${A}"]}\nalerts: ["${B}"]\n', environ=secrets)
    assert configuration.settings.node.keys() == ("s3cr3t-node",)
    assert "s3cr3t" not in repr(configuration) + str(configuration.settings) + configuration.settings.model_dump_json()


def test_live_orders_need_the_address_from_which_they_leave_unless_netts_is_a_sandbox(tmp_path: Path) -> None:
    configured(tmp_path)
    file = tmp_path / "energyd.yaml"
    file.write_text("mode: live\nnetts: {api_key: a-key, real_ip: '2001:db8::7'}\n")
    assert load(file, {}).settings.netts.real_ip == "2001:db8::7"
    file.write_text("mode: live\nnetts: {api_key: a-key, url: 'http://127.0.0.1:8401/'}\n")
    assert load(file, {}).settings.netts.url == "http://127.0.0.1:8401"


def test_values_come_from_the_environment_anywhere_and_in_any_kind(tmp_path: Path) -> None:
    policy = (
        "policy: ${NAME}\ndescription: for ${CUSTOMER}, $${NAME} is kept and $5 too\nenabled: ${ON}\n"
        "addresses: ['${HOT}', {address: '${SECOND}', label: '${CUSTOMER}'}]\n"
        "energy: {floor: '${FLOOR}', keep: '${KEEP}', check_every: '${S}s'}\nbudget: ${BUDGET}\n"
    )
    environ = {"NAME": "p", "CUSTOMER": "me: & co", "ON": "true", "HOT": HOT, "SECOND": SECOND, "FLOOR": "65_000"}
    environ |= {"KEEP": "never", "S": "20", "BUDGET": "unlimited", "MODE": "live", "RPS": "5"} | KEY
    found = configured(tmp_path, "node: {max_rps: '${RPS}'}\n", policy, environ)
    assert found.settings.node.max_rps == 5
    [parsed] = found.policies
    assert parsed.description == "for me: & co, ${NAME} is kept and $5 too"
    assert (parsed.name, parsed.enabled, tuple(parsed.watched())) == ("p", True, (HOT, SECOND))
    assert parsed.energy is not None
    assert (parsed.energy.floor, parsed.energy.keep) == (65_000, "never")
    assert parsed.energy.check_every == timedelta(seconds=20)


# --- policies -------------------------------------------------------------------------------------------------------


def test_a_policy_with_every_key_is_read_exactly() -> None:
    [policy] = load_policies([FULL], {}).policies
    assert policy.limits == Budget(per_order="15 TRX", per_hour="60 TRX", per_day="400 TRX")
    assert policy.energy is not None
    assert isinstance(policy.energy.keep, tuple)
    [window] = policy.energy.keep
    assert (window.days, window.start, window.end) == (frozenset(range(5)), TimeOfDay(480), TimeOfDay(1200))
    assert policy.energy.max_price == PriceLimit(burn_percent=Decimal(80))
    payroll, bonus = policy.planned_calls
    assert payroll.argument_lists == ((HOT, 1_000_000),)
    assert bonus.at == datetime(2026, 12, 24, 8, tzinfo=UTC)
    assert policy.host_mode is not None
    assert policy.host_mode.max_cycle_price == 4_000_000
    assert hash(policy)


def test_what_a_policy_leaves_out_is_what_the_documentation_says(tmp_path: Path) -> None:
    rule = only(SMALL, tmp_path).energy
    assert rule == EnergyRule(floor=65_000)
    assert rule is not None
    assert (rule.rent_up_to, rule.keep, rule.on_unknown) == (65_000, "always", "hold")
    assert [rule.renew_before, rule.check_every, rule.cooldown] == [timedelta(seconds=s) for s in (90, 15, 30)]


@pytest.mark.parametrize(
    ("written", "days"),
    [("sat,sun", {5, 6}), ("fri-mon", {4, 5, 6, 0}), ("mon-fri, sun", {0, 1, 2, 3, 4, 6}), ("wed", {2})],
)
def test_days_may_run_over_the_end_of_the_week(written: str, days: set[int]) -> None:
    assert KeepWindow.model_validate({"days": written, "from": "22:00", "to": "06:00"}).days == days


def test_scalars_are_read_without_surprises(tmp_path: Path) -> None:
    """Not a base of 60, 8 or 16, not a date, not a fraction: what is no decimal integer is text."""
    text = (
        SMALL + "description: >-\n  two\n  lines\nplanned_calls:\n  - {name: on, at: 2026-12-24 09:00:00Z, energy: 1,\n"
    )
    text += "     arguments: [08:00, 010, 0x1f, 1.5, 1e3, 2026-12-24, yes, '5', -5, 1_000, ~x, +5]}\n"
    policy = only(text, tmp_path)
    assert policy.description == "two lines"
    assert policy.planned_calls[0].arguments == (
        *("08:00", "010", "0x1f", "1.5", "1e3", "2026-12-24", "yes", "5"),
        *(-5, 1000, "~x", "+5"),
    )


def test_the_largest_number_of_a_contract_call_is_exact(tmp_path: Path) -> None:
    calls = f"planned_calls: [{{name: a, cron: 0 9 * * *, energy: 1, arguments: [{2**256 - 1}]}}]\n"
    assert only(SMALL + calls, tmp_path).planned_calls[0].arguments == (2**256 - 1,)


# --- digest ---------------------------------------------------------------------------------------------------------


def test_the_digest_is_that_of_the_content_and_not_of_the_layout(tmp_path: Path) -> None:
    first = configured(tmp_path).digest
    same = f"# a remark\nbudget: 'unlimited'\npolicy: small\nenergy:\n  floor: 65000\naddresses:\n  - address: {HOT}\n"
    assert configured(tmp_path, policy=same).digest == first
    assert configured(tmp_path, environ={"NETTS_API_KEY": "another"}).digest == first
    assert configured(tmp_path, policy=SMALL.replace("65_000", "65_001")).digest != first
    assert configured(tmp_path, "node: {max_rps: 13}\n").digest != first


# --- estimates and advice -------------------------------------------------------------------------------------------

LIMITS = OrderLimits()


def test_the_most_that_a_policy_spends_in_a_day_is_its_budget(tmp_path: Path) -> None:
    limited = SMALL.replace("unlimited", "{per_order: 15 TRX, per_hour: 60 TRX, per_day: 400 TRX}")
    assert spend_a_day_max(only(limited, tmp_path)) == 400_000_000
    assert spend_a_day_max(only(SMALL, tmp_path)) is None
    assert spend_a_day_max(only(SMALL + "mode: observe\n", tmp_path)) == 0
    assert spend_a_day_max(only(SMALL + "enabled: false\n", tmp_path)) == 0


def test_an_idle_address_is_rented_for_once_an_hour_and_a_little_more_often() -> None:
    rule = EnergyRule(floor=65_000, target=131_000)
    assert idle_day_energy(rule, LIMITS) == 25 * 131_000  # every 3,510 s
    assert idle_day_energy(rule.model_copy(update={"renew_before": timedelta(0)}), LIMITS) == 24 * 131_000
    assert idle_day_energy(EnergyRule(floor=100), LIMITS) == 25 * 61_000
    assert idle_day_energy(EnergyRule(floor=0), LIMITS) == 0
    assert idle_day_energy(rule.model_copy(update={"keep": "while_active"}), LIMITS) == 0


def test_requests_are_counted_by_address_and_pace(tmp_path: Path) -> None:
    small = only(SMALL, tmp_path)
    active = only(SMALL.replace("{floor", "{keep: while_active, floor"), tmp_path)
    cycles = "host_mode: {min_cycles: 2, top_up_to: 10, check_every: 20s, max_cycle_price: 4 TRX}\n"
    hosted = only(SMALL.replace("energy: {floor: 65_000}\n", cycles), tmp_path)
    assert node_requests([]) == node_requests([hosted]) == 0
    assert node_requests([small]) == Fraction(1, 15) + Fraction(1, 3)
    assert node_requests([small, active]) == Fraction(3, 15) + Fraction(1, 3)
    assert netts_requests([small, hosted, hosted]) == Fraction(1, 20)
    assert netts_requests([small]) == 0


@pytest.mark.parametrize(
    ("old", "new", "advice"),
    [
        (
            "65_000",
            "65_000",
            "3:1: an address is rented 1,625,000 energy a day though nobody uses it, for at most 162.5",
        ),
        ("65_000", "60_999, keep: never", "3:1: Netts sells no less than 61,000 in one order, so that much is rented"),
        ("65_000", "65_000, keep: never, max_price: 101 sun", "3:38: this is more than burning costs now (100 sun); "),
        ("65_000", "65_000, keep: never, on_unknown: assume_empty", "3:38: while the node does not answer, this rents"),
        ("energy: {floor: 65_000}\n", "", "1:1: the policy has no energy, planned_calls or host_mode: it only serves"),
        (
            "{floor: 65_000}",
            "{floor: 65_000, keep: while_active}\nhost_mode: {min_cycles: 2, top_up_to: 3, max_cycle_price: 4 TRX}",
            "3:10: Host Mode fills these addresses up, too; when it takes longer than 2m, energy is rented and both",
        ),
        (
            "energy: {floor: 65_000}\nbudget: unlimited",
            (
                "host_mode: {min_cycles: 2, top_up_to: 9, max_cycle_price: 4 TRX}\n"
                "budget: {per_order: 31 TRX, per_hour: 40 TRX, per_day: 40 TRX}"
            ),
            "3:28: an order of 8 cycles may cost 32 TRX, and the budget of one order is smaller",
        ),
        ("unlimited", "unlimited", "4:1: nothing limits what this policy spends but the balance at Netts"),
    ],
)
def test_what_may_surprise_in_a_policy_is_said(old: str, new: str, advice: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(SMALL.replace(old, new))
    said = [str(each).removeprefix(f"{file}:") for each in load_policies([file], {}).advice]
    assert [each for each in said if each.startswith(advice)], said


@pytest.mark.parametrize(
    ("settings", "policy", "advice"),
    [
        ("node: {max_rps: 1, url: http://10.0.0.5:8090}\n", SMALL.replace("65_000", "65_000, check_every: 1s"),
         "the policies ask the node 1.3 times a second; max_rps 1 makes checks 1.3 times rarer"),
        ("", SMALL.replace("65_000", "65_000, check_every: 1s"),
         "this asks 115,200 times a day; TronGrid's free plan answers 100,000 with these keys"),
        ("node: {url: http://10.0.0.5, api_keys: [a]}\n", SMALL, "these keys travel readable over http; use https"),
        ("", SMALL + "enabled: false\n", "no policy is enabled, so there is nothing to do"),
    ],
)  # fmt: skip
def test_what_may_surprise_in_settings_is_said(settings: str, policy: str, advice: str, tmp_path: Path) -> None:
    assert advice in [each.text for each in configured(tmp_path, settings, policy).advice]
