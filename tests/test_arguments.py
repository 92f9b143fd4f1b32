"""Arguments of contract calls fit their function, or a person is told which does not."""

from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from tronpy.abi import trx_abi

from energyd.arguments import MOST_CALLS, fitting, of_calls, of_lines, parameter_types
from energyd.chain.estimate import encoded
from energyd.config.beside import read_beside
from energyd.policy import PlannedCall

ALICE, BOB = "TQn9Y2khEsLJW1ChVWFMSMeRDow5KcbLSE", "TGiPJbaP5at8cigWcRHmCDkyKjUGb71fGd"
TRANSFER = "transfer(address,uint256)"


@pytest.mark.parametrize(
    ("function", "types"),
    [
        ("pause()", []),
        (TRANSFER, ["address", "uint256"]),
        ("f((address,uint8[])[],bytes)", ["(address,uint8[])[]", "bytes"]),
    ],
)
def test_the_types_of_a_signature(function: str, types: list[str]) -> None:
    assert parameter_types(function) == types


@pytest.mark.parametrize(
    ("function", "arguments", "fit"),
    [
        (TRANSFER, [ALICE, "1_000_000"], (ALICE, 1_000_000)),
        ("f(int8)", [-128], (-128,)),
        ("f(bool,string)", ["true", "Käse"], (True, "Käse")),
        ("f(bytes4,bytes)", ["0x01020304", "0x"], ("0x01020304", "0x")),
        ("f(uint8[2],(address,bool))", [[1, 2], [ALICE, False]], ((1, 2), (ALICE, False))),
        ("f()", [], ()),
    ],
)
def test_what_fits_is_given_its_type_and_can_be_encoded(function: str, arguments: list[object], fit: object) -> None:
    assert fitting(function, arguments) == fit
    assert encoded(function, fitting(function, arguments)) is not None


@pytest.mark.parametrize(
    ("function", "arguments", "problem"),
    [
        (TRANSFER, [ALICE], "takes 2 arguments, and there are 1"),
        (TRANSFER, ["TQn9", 1], "34"),
        (TRANSFER, [ALICE, "1.5"], "whole number"),
        (TRANSFER, [ALICE, -1], "does not fit uint256"),
        (TRANSFER, [ALICE, True], "whole number"),
        ("f(uint8)", [256], "does not fit uint8"),
        ("f(bytes4)", ["0x010203"], "is no bytes4"),
        ("f(bool)", ["yes"], "write true or false"),
        ("f(uint8[])", [1], "write a list"),
        ("f(uint8[2])", [[1]], "takes 2 items"),
        ("f(adress)", [ALICE], "not a type"),
    ],
)
def test_what_does_not_fit_is_said(function: str, arguments: list[object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        fitting(function, arguments)


@given(st.integers(0, 2**256 - 1), st.booleans(), st.binary(max_size=40), st.lists(st.integers(-128, 127), max_size=4))
def test_what_fits_is_encoded_as_it_is(number: int, flag: bool, raw: bytes, row: list[int]) -> None:  # noqa: FBT001 - drawn
    function = "f(uint256,bool,bytes,int8[])"
    fit = fitting(function, [number, flag, f"0x{raw.hex()}", row])
    words = bytes.fromhex(encoded(function, fit))
    assert trx_abi.decode_single("(uint256,bool,bytes,int8[])", words) == (number, flag, raw, tuple(row))


def test_several_calls_are_a_list_of_lists() -> None:
    assert of_calls(TRANSFER, [[ALICE, 1], [BOB, 2]]) == ((ALICE, 1), (BOB, 2))
    assert of_calls("f(uint8[])", [[1, 2]]) == (((1, 2),),)
    with pytest.raises(ValueError, match="call 2: "):
        of_calls(TRANSFER, [[ALICE, 1], [BOB]])
    with pytest.raises(ValueError, match="list at most"):
        of_calls(TRANSFER, [[ALICE, 1]] * (MOST_CALLS + 1))


def test_receivers_are_read_line_by_line() -> None:
    text = f"# who, how much\n{ALICE}, 5\n\n{BOB},1_000\n"
    assert of_lines(TRANSFER, "payroll.csv", text) == ((ALICE, 5), (BOB, 1_000))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (f"{ALICE},5\n{BOB}\n".encode(), "payroll.csv:2: .* takes 2 arguments"),
        (f"{ALICE},x\n".encode(), "payroll.csv:1: 'x'"),
        (b"# nobody\n", "has 0 calls"),
        (b"\xff\xfe", "not UTF-8"),
        (b"#" * 1_000_001, "larger than"),
    ],
)
def test_a_bad_file_of_receivers_is_told_with_its_line(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "payroll.csv").write_bytes(content)
    with pytest.raises(ValueError, match=problem):
        of_lines(TRANSFER, "payroll.csv", read_beside(tmp_path, "payroll.csv"))


@pytest.mark.parametrize(
    ("name", "problem"),
    [("nowhere.csv", "there is no file"), ("/dev/zero", "is no plain file"), (".", "is no plain file")],
)
def test_only_a_plain_file_is_read(tmp_path: Path, name: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_beside(tmp_path, name)


def a_call(**parts: object) -> PlannedCall:
    return PlannedCall.model_validate(
        {"name": "x", "cron": "0 9 * * *", "contract": ALICE, "function": TRANSFER} | parts
    )


def test_a_planned_call_counts_what_it_lists() -> None:
    listed = a_call(arguments=[[ALICE, 1], [BOB, 2]])
    assert (listed.calls, listed.argument_lists) == (2, ((ALICE, 1), (BOB, 2)))
    counted = a_call(arguments=[ALICE, 1], count=40)
    assert (counted.calls, counted.argument_lists) == (40, ((ALICE, 1),))


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"arguments": [[ALICE, 1], [BOB, 2]], "count": 3}, "2 calls are listed"),
        ({"arguments": [ALICE]}, "takes 2 arguments"),
        ({}, "takes 2 arguments, and there are 0"),
        ({"receivers": 5}, "is no file"),
    ],
)
def test_a_planned_call_that_does_not_fit_is_a_fault(parts: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        a_call(**parts)
