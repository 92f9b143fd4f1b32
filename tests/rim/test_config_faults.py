"""One fixture for each rule that can be broken, with its exact faults; then files that are not even YAML.

A fixture ends with `# fault LINE:COLUMN: message` for each fault that is expected, and nothing more may be found.
"""

import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings, strategies as st

from energyd.config.load import find_settings, load, load_policies
from energyd.errors import ConfigFaults
from energyd.policy import Policy

FAULTS = Path(__file__).parent / "faults"
POLICIES = sorted(FAULTS.glob("policy/*.yaml"))
SETTINGS = sorted(FAULTS.glob("config/*.yaml"))
GOOD = (FAULTS / "good-policy.yaml").read_text()
REMOVE = "; remove or rename one of the two"
ADDRESS = "TBNkMVstgu62GzcDGsEnnr8aFgj5jtEoWA"


def named(path: Path) -> str:
    return path.stem


def expected(path: Path) -> list[str]:
    """The faults that the fixture's own comments announce."""
    lines = path.read_text().splitlines()
    return [line.removeprefix("# fault ") for line in lines if line.startswith("# fault ")]


def found(raised: pytest.ExceptionInfo[ConfigFaults], path: Path) -> list[str]:
    return [str(fault).removeprefix(f"{path.name}:") for fault in raised.value.faults]


def faults_of(text: str | bytes, tmp_path: Path, environ: dict[str, str] | None = None) -> list[str]:
    """The faults of a policy file with this content; none when it is good."""
    file = tmp_path / "policy.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    try:
        load_policies([file], environ or {})
    except ConfigFaults as faults:
        return [f"{str(fault.place).removeprefix(str(file))}: {fault.problem}" for fault in faults.faults]
    return []


@pytest.mark.parametrize("path", POLICIES, ids=named)
def test_a_broken_policy_has_exactly_the_faults_that_it_announces(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    with pytest.raises(ConfigFaults) as raised:
        load_policies([Path(path.name)], {})
    assert found(raised, path) == expected(path)


@pytest.mark.parametrize("path", SETTINGS, ids=named)
def test_broken_settings_have_exactly_the_faults_that_they_announce(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    with pytest.raises(ConfigFaults) as raised:
        load(Path(path.name), {})
    assert found(raised, path) == expected(path)
    assert "s3cr3t" not in str(raised.value)


def test_no_fault_speaks_the_language_of_a_library() -> None:
    jargon = ("Input should", "valid ", "type=", "ValueError", "pydantic", "yaml.", "NoneType", "scalar", " token")
    said = [fault for path in POLICIES + SETTINGS for fault in expected(path)]
    assert not [fault for fault in said for word in jargon if word in fault]


def test_all_faults_of_all_files_are_reported_at_once_in_the_order_of_their_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("energyd.yaml").write_text("mode: test\nnetts: {api_key: '${NETTS_API_KEY}'}\nlog: {levle: info}\n")
    Path("policies").mkdir()
    Path("policies/b.yaml").write_text(GOOD.replace("15s", "15"))
    Path("policies/a.yml").write_text(
        f"policy: other\naddresses: [{ADDRESS}]\nbudget: unlimitd\nenergy: {{floor: no}}\n"
    )
    with pytest.raises(ConfigFaults) as raised:
        load(Path("energyd.yaml"), {})
    assert str(raised.value).splitlines() == [
        "energyd.yaml:1:7: 'test' is not known here; write live or dry-run",
        "energyd.yaml:2:18: NETTS_API_KEY is not set in the environment; set NETTS_API_KEY, or write the value here",
        "energyd.yaml:3:7: unknown key 'levle'; did you mean 'level'?",
        "policies/a.yml:3:9: 'unlimitd' is no budget; write per_order, per_hour and per_day below it, or unlimited",
        "policies/a.yml:4:17: 'no' is not an amount of energy; write a whole number such as 65000",
        f"policies/b.yaml:2:13: the address '{ADDRESS}' stands at policies/a.yml:2:13 already{REMOVE}",
        "policies/b.yaml:5:16: 15 is not understood here; write it like '90s', '3m', '1h30m' or '2d'",
    ]


# --- several files --------------------------------------------------------------------------------------------------


def folder_of(tmp_path: Path, *texts: str) -> Path:
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.yaml").write_text(text)
    return tmp_path


def test_two_policies_of_one_name_name_both_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder_of(tmp_path, GOOD, GOOD.replace(ADDRESS, "TCfeRBUgPhQ2fJzbXeYuGCe56CjQ6UJW3S")))
    with pytest.raises(ConfigFaults, match=r"1.yaml:1:9: the policy 'payouts' stands at 0.yaml:1:9 already"):
        load_policies([Path()], {})


def test_an_address_may_stand_in_one_enabled_policy_only(tmp_path: Path) -> None:
    other = GOOD.replace("payouts", "other")
    with pytest.raises(ConfigFaults, match=rf"1.yaml:2:13: the address '{ADDRESS}' stands at .*0.yaml:2:13 already"):
        load_policies([folder_of(tmp_path, GOOD, other)], {})
    assert len(load_policies([folder_of(tmp_path, GOOD, other + "enabled: false\n")], {}).policies) == 2


def test_an_address_from_the_environment_is_named_and_not_told(tmp_path: Path) -> None:
    other = GOOD.replace("payouts", "other").replace(ADDRESS, "'${HOT}'")
    with pytest.raises(ConfigFaults) as raised:
        load_policies([folder_of(tmp_path, GOOD, other)], {"HOT": ADDRESS})
    assert "the address the value of ${HOT} stands at" in str(raised.value)
    assert ADDRESS not in str(raised.value)


def test_a_folder_without_policies_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / ".hidden.yaml").write_text(GOOD)
    (tmp_path / "notes.txt").write_text(GOOD)
    with pytest.raises(ConfigFaults, match=r"has no \*\.yaml or \*\.yml file"):
        load_policies([tmp_path], {})


# --- files that are not even YAML -----------------------------------------------------------------------------------

BOMB = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in itertools.pairwise("abcdefghijklmnopqrst"))

ODD = {
    "nothing": (b"", [":1:1: the file is empty"]),
    "blank": (b" \n\n", [":1:1: the file is empty"]),
    "null": (b"null\n", [":1:1: the file is empty"]),
    "latin-1": ("policy: payouts\ndescription: Büro\n".encode("latin-1"), [":2:15: the file is not UTF-8 text"]),
    "utf-16": (GOOD.encode("utf-16"), [":1:1: the file is not UTF-8 text"]),
    "zero byte": (b"policy: pay\0outs\n", [":1:12: the character U+0000 may not stand in a YAML file"]),
    "escape": (b"policy: \x1b[31m\n", [":1:9: the character U+001B may not stand in a YAML file"]),
    "huge": (b"#" * (1024 * 1024 + 1), [": the file is larger than 1 MiB"]),
    "deep list": (b"a: " + b"[" * 100_000, [":1:36: the file is nested more than 32 deep"]),
    "deep mapping": (b"a: " + b"{a: " * 100_000, [":1:132: the file is nested more than 32 deep"]),
    "no such character": (b'policy: "\\UFFFFFFFF"\n', [":1:1: an escape in double quotes stands for no character"]),
    "half a character": (
        GOOD.encode() + b'description: "\\ud800"\n',
        [":7:14: the text has the character U+D800, which no setting may have"],
    ),
    "directive": (b"%YAML 3.0\n---\na: b\n", [":1:1: this is not YAML"]),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_a_file_that_cannot_be_read_has_one_fault(name: str, tmp_path: Path) -> None:
    content, faults = ODD[name]
    assert faults_of(content, tmp_path) == faults


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    assert faults_of(b"\xef\xbb\xbf" + GOOD.encode(), tmp_path) == []
    assert faults_of(b"\xef\xbb\xbf" + GOOD.replace("15s", "15").encode(), tmp_path)[0].startswith(":5:16:")


def test_an_alias_bomb_is_refused_without_being_unfolded(tmp_path: Path) -> None:
    faults = faults_of(GOOD + BOMB, tmp_path)
    assert len([fault for fault in faults if "anchor (&) or alias (*)" in fault]) == 20


def test_a_file_that_is_missing_or_may_not_be_read_or_is_no_file_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigFaults, match="there is no file or folder"):
        load_policies([tmp_path / "none.yaml"], {})
    with pytest.raises(ConfigFaults, match=r"none.yaml: there is no such file"):
        load(tmp_path / "none.yaml", {})
    with pytest.raises(ConfigFaults, match="the file cannot be read: is a directory"):
        load(tmp_path, {})
    with pytest.raises(ConfigFaults, match="the file cannot be read: its name cannot be used"):
        load(Path("a\0b"), {})
    with pytest.raises(ConfigFaults, match="the policies cannot be read: file name too long"):
        load_policies([Path("x" * 300)], {})


def test_a_file_that_is_named_twice_is_read_once(tmp_path: Path) -> None:
    file = folder_of(tmp_path, GOOD) / "0.yaml"
    assert len(load_policies([tmp_path, file, tmp_path / "*.yaml"], {}).policies) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_the_right_to_read_it_is_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "energyd.yaml"
    file.touch(mode=0)
    with pytest.raises(ConfigFaults, match="the file cannot be read: permission denied"):
        load(file, {})


@pytest.mark.parametrize(
    "content",
    [
        "k: " + "[" * 31 + "]" * 31 + "\n",
        "".join(f"key-{number}: x\n" for number in range(20_000)),
        'description: "' + "x" * 1_000_000 + '"\n',
        "addresses:\n" + "  - TBNkMVstgu62GzcDGsEnnr8aFgj5jtEoWB\n" * 20_000,
        "[" * 500_000,
        "? " * 500_000,
        "- " * 500_000,
        "a: !" * 200_000,
        "{a, " * 200_000,
        "'" * 1_000_001,
        "|\n" + " " * 1_000_000,
    ],
    ids=lambda content: content[:12].strip() + "…",
)
def test_a_hostile_file_is_judged_in_a_few_seconds(content: bytes, tmp_path: Path) -> None:
    start = time.monotonic()
    assert faults_of(content[: 1024 * 1024], tmp_path)
    assert time.monotonic() - start < 15


# --- no file brings it down -----------------------------------------------------------------------------------------

anything = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates() | st.binary(max_size=5)
)
words = st.sampled_from(
    [
        "policy",
        "addresses",
        "energy",
        "floor",
        "target",
        "keep",
        "from",
        "to",
        "days",
        "budget",
        "per_day",
        "planned_calls",
        "cron",
        "at",
        "arguments",
        "name",
        "host_mode",
        "min_cycles",
        "enabled",
        "mode",
        "unlimited",
        "always",
        "fri",
        "08:00",
        "15s",
        "${HOME}",
        "${",
        "${NONE}",
        "$${x}",
        "<<",
        "&a",
        "*a",
    ]
)
trees = st.recursive(
    scalars | words,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(words | st.text(max_size=5), below, max_size=6),
    max_leaves=20,
)


def judged(content: bytes, tmp_path: Path) -> None:
    """It is a policy, or it has faults, each with its words and on one line."""
    file = tmp_path / "policy.yaml"
    file.write_bytes(content)
    try:
        policies, faults = load_policies([file], {"HOME": "here"}).policies, ()
    except ConfigFaults as error:
        policies, faults = (), error.faults
    assert len(policies) == 1 or faults
    assert all(isinstance(policy, Policy) and hash(policy) for policy in policies)
    assert all(fault.problem and len(str(fault).splitlines()) == 1 for fault in faults)
    assert not [fault for fault in faults if "this value cannot be used" in fault.problem]


@anything
@given(content=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_are_a_policy_or_faults(content: bytes, tmp_path: Path) -> None:
    judged(content, tmp_path)


@anything
@given(tree=trees)
def test_any_yaml_is_a_policy_or_faults(tree: object, tmp_path: Path) -> None:
    judged(yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass"), tmp_path)


FULL = yaml.load((FAULTS / "full-policy.yaml").read_text(), Loader=yaml.BaseLoader)  # texts only, as they were written


Steps = tuple[str | int, ...]


def places(tree: object, path: Steps = ()) -> Iterator[Steps]:
    yield path
    below = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for step, child in below:
        yield from places(child, (*path, step))


def replaced(tree: Any, path: Steps, value: object) -> Any:
    if not path:
        return value
    copy = dict(tree) if isinstance(tree, dict) else list(tree)
    copy[path[0]] = replaced(copy[path[0]], path[1:], value)
    return copy


@anything
@given(path=st.sampled_from(list(places(FULL))), value=trees)
def test_a_policy_with_anything_in_one_place_is_a_policy_or_faults(path: Steps, value: object, tmp_path: Path) -> None:
    judged(yaml.safe_dump(replaced(FULL, path, value), allow_unicode=True).encode("utf-8", "surrogatepass"), tmp_path)


@anything
@given(
    path=st.sampled_from([path for path in places(FULL) if path]),
    secret=st.text("bcdfg0123456789 :/-*%@é", min_size=4, max_size=40),
)
def test_a_value_from_the_environment_never_stands_in_a_fault(path: Steps, secret: str, tmp_path: Path) -> None:
    """Wherever it is put and whatever it is: not the value, and not a word of it that the file does not have."""
    secret = f"9q{secret}q9"
    text = yaml.safe_dump(replaced(FULL, path, "${SECRET}"))
    faults = faults_of(text, tmp_path, {"SECRET": secret})
    assert not [word for fault in faults for word in (secret, *secret.split()) if len(word) > 3 and word in fault]


# --- where the settings are -----------------------------------------------------------------------------------------


def test_settings_are_looked_for_in_four_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("energyd.config.load.SETTINGS_FILES", (Path("energyd.yaml"), tmp_path / "etc.yaml"))
    with pytest.raises(
        ConfigFaults, match=r"\$ENERGYD_CONFIG is not set, and there is no .*; name one with --config PATH"
    ):
        find_settings(None, {})
    (tmp_path / "etc.yaml").touch()
    assert find_settings(None, {}) == tmp_path / "etc.yaml"
    Path("energyd.yaml").touch()
    assert find_settings(None, {}) == Path("energyd.yaml")
    assert find_settings(None, {"ENERGYD_CONFIG": "a.yaml"}) == Path("a.yaml")
    assert find_settings(Path("b.yaml"), {"ENERGYD_CONFIG": "a.yaml"}) == Path("b.yaml")
