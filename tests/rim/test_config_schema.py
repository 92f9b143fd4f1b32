"""The JSON Schema and the loader agree, as far as a schema can say it; where it cannot, a fixture says so.

An editor reads a file with a YAML 1.2 reader, and so do these tests: 65_000 is a text there, and a date is one, too.
"""

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings, strategies as st
from jsonschema import Draft202012Validator

from energyd.config.faults import REQUIRED, shapes
from energyd.config.load import load_policies
from energyd.config.schema import schema
from energyd.config.settings import Settings
from energyd.errors import ConfigFaults
from energyd.fields import Shape
from energyd.policy import Policy

ROOT = Path(__file__).parents[2]
FAULTS = Path(__file__).parent / "faults"
SCHEMAS = {"config": Draft202012Validator(schema("config")), "policy": Draft202012Validator(schema("policy"))}
EXAMPLES = [("config", ROOT / "energyd.example.yaml")] + [
    ("policy", path) for path in [*sorted((ROOT / "policies").glob("*.yaml")), *sorted(FAULTS.glob("*.yaml"))]
]
BROKEN = [(path.parent.name, path) for path in sorted(FAULTS.glob("*/*.yaml"))]


class CoreReader(yaml.SafeLoader):
    """The core schema of YAML 1.2: null, true, false, numbers, and text."""


CoreReader.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("null", r"^(~|null|Null|NULL|)$", [*"~nN", ""]),
    ("bool", r"^(true|True|TRUE|false|False|FALSE)$", [*"tTfF"]),
    ("int", r"^[-+]?[0-9]+$", [*"-+0123456789"]),
    ("float", r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$", [*"-+.0123456789"]),
):
    CoreReader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), first)
CoreReader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))
CoreReader.add_constructor("tag:yaml.org,2002:float", lambda _, node: float(node.value))


def as_an_editor_reads(path: Path) -> Any:
    return yaml.load(path.read_text(), Loader=CoreReader)


def name(value: object) -> str | None:
    return value.stem if isinstance(value, Path) else None


@pytest.mark.parametrize("kind", SCHEMAS)
def test_the_schema_is_a_schema_with_a_name(kind: str) -> None:
    drawn = SCHEMAS[kind].schema
    Draft202012Validator.check_schema(drawn)
    assert drawn["$id"] == f"urn:energyd:schema:{kind}"
    assert drawn["title"]


@pytest.mark.parametrize("kind", ["config", "policy"])
def test_the_schema_that_editors_find_in_the_repository_is_the_one_of_this_version(kind: Any) -> None:
    assert json.loads((ROOT / "docs" / f"{kind}.schema.json").read_text()) == schema(kind)


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_key_is_described(kind: str) -> None:
    drawn = SCHEMAS[kind].schema
    definitions = [drawn, *drawn["$defs"].values()]
    bare = [
        (key, value)
        for definition in definitions
        for key, value in definition.get("properties", {}).items()
        if "description" not in value and "description" not in drawn["$defs"].get(value.get("$ref", "")[8:], {})
    ]
    assert not bare


@pytest.mark.parametrize(("kind", "path"), EXAMPLES, ids=name)
def test_every_example_is_accepted(kind: str, path: Path) -> None:
    SCHEMAS[kind].validate(as_an_editor_reads(path))


@pytest.mark.parametrize("path", [ROOT / "energyd.example.yaml", *(ROOT / "policies").glob("*.yaml")], ids=name)
def test_every_example_names_the_schema_that_is_there(path: Path) -> None:
    reference = re.match(r"# yaml-language-server: \$schema=(\S+)\n", path.read_text())
    assert reference is not None
    assert (path.parent / reference[1]).is_file()


@pytest.mark.parametrize(("kind", "path"), BROKEN, ids=name)
def test_a_broken_file_is_rejected_where_a_schema_can_say_why(kind: str, path: Path) -> None:
    """`never sees it`: the fault is in the YAML, and the reader stops or hides it."""
    remark = path.read_text().splitlines()[-1]
    assert remark in ("# a schema rejects it", "# a schema cannot know", "# a schema never sees it")
    if remark != "# a schema never sees it":
        assert SCHEMAS[kind].is_valid(as_an_editor_reads(path)) is (remark == "# a schema cannot know")


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_default_is_written_as_the_schema_wants_it(kind: str) -> None:
    drawn = SCHEMAS[kind].schema
    for definition in (drawn, *drawn["$defs"].values()):
        for key, value in definition.get("properties", {}).items():
            if "default" in value:
                assert Draft202012Validator(value | {"$defs": drawn["$defs"]}).is_valid(value["default"]), key


@pytest.mark.parametrize("shape", [Settings, Policy])
def test_every_key_that_must_be_there_has_an_example_for_its_fault(shape: type[Shape]) -> None:
    fields = [(field.alias or key, field) for each in shapes(shape) for key, field in each.model_fields.items()]
    assert {key for key, field in fields if field.is_required()} <= REQUIRED.keys()


# --- generated policies ---------------------------------------------------------------------------------------------

ADDRESSES = [
    "TBNkMVstgu62GzcDGsEnnr8aFgj5jtEoWA",
    "TCfeRBUgPhQ2fJzbXeYuGCe56CjQ6UJW3S",
    "TNbv2o9XnkMAtKdUP5f2uHPPB5sDMqhej1",
]
VARIABLES = {"NAME": "a-name", "FLOOR": "65_000", "PRICE": "60 sun", "EVERY": "20s", "ON": "false"}
energies = st.integers(0, 10**9) | st.sampled_from(["0", "65_000", "1_000_000", "${FLOOR}"])
durations = st.builds("{}{}".format, st.integers(1, 300), st.sampled_from("smh")) | st.sampled_from(
    ["1d2h3m4s", " 5m "]
)
texts = st.text("abc äöü:#-'\"{}[]&*!|>%@`\n", max_size=20)
money = st.builds(
    "{} {}".format, st.sampled_from(["1", "15", "0.5", "1_000", "2.989001"]), st.sampled_from(["TRX", "trx"])
)
windows = st.fixed_dictionaries(
    {"from": st.sampled_from(["00:00", "08:30"]), "to": st.sampled_from(["20:00", "24:00"])},
    optional={"days": st.sampled_from(["mon", "mon-fri", "sat,sun"]), "timezone": st.just("Europe/Berlin")},
)
rules = st.fixed_dictionaries(
    {"floor": energies},
    optional={
        "target": st.integers(10**9, 2 * 10**9),
        "keep": st.sampled_from(["always", "never", "while_active"]) | st.lists(windows, min_size=1, max_size=3),
        "check_every": durations | st.just("${EVERY}"),
        "max_price": st.sampled_from(["80% of burn", "60 sun", "1_0sun", "99.5 %  of burn", "${PRICE}"]),
        "on_unknown": st.sampled_from(["hold", "assume_empty"]),
    },
)
whens = st.sampled_from(["0 9 * * fri", "*/5 * 1-15 jan *"]).map(lambda cron: {"cron": cron}) | st.sampled_from(
    ["2026-12-24T09:00:00+01:00", "2026-12-24 09:00Z"]
).map(lambda at: {"at": at})
whats = st.sampled_from(
    [
        {"energy": 65_000},
        {"energy": "65_000"},
        {"contract": ADDRESSES[0], "function": "f()"},
        {
            "contract": ADDRESSES[0],
            "function": "g((int8,bool)[],bytes)",
            "arguments": [[[5, True], [-5, "false"]], "0x00ff"],
            "energy": "auto",
            "margin": "5.5 %",
        },
    ]
)
arguments = st.lists(st.integers() | st.booleans() | texts | st.lists(st.integers(), max_size=2), max_size=3)
extras = st.fixed_dictionaries({}, optional={"lead": durations, "fallback": energies, "count": st.integers(1, 9)})
fixed = st.builds(
    lambda what, given: what | {"arguments": given},
    whats.filter(lambda what: "energy" in what and len(what) == 1),
    arguments,
)
calls = st.builds(lambda when, what, extra: deepcopy(when | what | extra), whens, whats | fixed, extras)


def with_labels(addresses: list[str]) -> st.SearchStrategy[list[Any]]:
    return st.tuples(*(st.sampled_from([each, {"address": each, "label": "hot"}]) for each in addresses)).map(list)


def with_names(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"name": f"call-{number}", **each} for number, each in enumerate(found)]


few = st.fixed_dictionaries({"min_cycles": st.integers(1, 5)}) | st.fixed_dictionaries({"min_left": st.just("2d")})
topped_up = st.fixed_dictionaries({"top_up_to": st.integers(5, 10_000), "max_cycle_price": money})
cycles = st.builds(lambda when, rule: deepcopy(when | rule), few, topped_up)
budgets = money.map(lambda amount: dict.fromkeys(("per_order", "per_hour", "per_day"), amount))
policies = st.fixed_dictionaries(
    {
        "policy": st.from_regex(r"\A[a-z][a-z0-9_.-]{0,20}\Z") | st.just("${NAME}"),
        "addresses": st.lists(st.sampled_from(ADDRESSES), min_size=1, unique=True).flatmap(with_labels),
        "budget": st.just("unlimited") | budgets,
    },
    optional={
        "description": texts,
        "enabled": st.sampled_from([True, False, "true", "${ON}"]),
        "mode": st.just("observe"),
        "energy": rules,
        "planned_calls": st.lists(calls, max_size=2).map(with_names),
        "host_mode": cycles,
    },
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(policy=policies)
def test_a_good_policy_is_accepted_by_both(policy: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(yaml.safe_dump(policy, allow_unicode=True))
    assert len(load_policies([file], VARIABLES).policies) == 1
    SCHEMAS["policy"].validate(as_an_editor_reads(file))


words = st.sampled_from(["always", "15 TRX", "5m", "auto", "08:00", "5%"])
keys = st.sampled_from(["address", "floor", "from", "x"])
trees = st.recursive(
    st.booleans() | st.integers(-10, 10**12) | texts | words,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(keys, below, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(policy=policies, data=st.data())
def test_what_the_schema_rejects_the_loader_rejects_too(
    policy: dict[str, Any], data: st.DataObject, tmp_path: Path
) -> None:
    """A value in a good policy is replaced by another; the loader may know more, never less."""
    where: Any = policy
    key: Any = data.draw(st.sampled_from(sorted(policy)))
    while isinstance(where[key], dict | list) and where[key] and data.draw(st.booleans()):
        where = where[key]
        key = data.draw(st.sampled_from(sorted(where) if isinstance(where, dict) else range(len(where))))
    where[key] = data.draw(trees)
    file = tmp_path / "policy.yaml"
    file.write_text(yaml.safe_dump(policy, allow_unicode=True))
    if not SCHEMAS["policy"].is_valid(as_an_editor_reads(file)):
        with pytest.raises(ConfigFaults):
            load_policies([file], VARIABLES)
