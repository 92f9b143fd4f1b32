"""Secrets from systemd's credentials: as good as the environment, and never shown."""

from pathlib import Path

import pytest

from energyd.config import credentials
from energyd.config.load import load
from energyd.errors import ConfigFaults

SETTINGS = 'mode: dry-run\nnode: {api_keys: ["${trongrid_api_key}"]}\npolicies: policies/\n'
POLICY = """\
policy: payouts
addresses: [TQn9Y2khEsLJW1ChVWFMSMeRDow5KcbLSE]
energy: {floor: 65_000}
budget: {per_order: 15 TRX, per_hour: 60 TRX, per_day: 400 TRX}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "payouts.yaml").write_text(POLICY)
    (tmp_path / "credentials").mkdir()
    settings = tmp_path / "energyd.yaml"
    settings.write_text(SETTINGS)
    return settings


def _given(file: Path, **secrets: str) -> dict[str, str]:
    for name, text in secrets.items():
        (file.parent / "credentials" / name).write_text(text)
    return {"CREDENTIALS_DIRECTORY": str(file.parent / "credentials")}


def test_a_name_in_the_settings_stands_for_a_credential_without_its_line_break(file: Path) -> None:
    environ = _given(file, netts_api_key="sesam-1\n", trongrid_api_key="sesam-2\n")
    settings = load(file, environ).settings
    assert (settings.node.keys(), settings.netts.key()) == (("sesam-2",), "sesam-1")


def test_the_environment_goes_before_a_credential(file: Path) -> None:
    environ = _given(file, netts_api_key="sesam-1", trongrid_api_key="sesam-2") | {"trongrid_api_key": "sesam-3"}
    assert load(file, environ).settings.node.keys() == ("sesam-3",)


def test_outside_the_service_the_store_of_credentials_is_asked(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _given(file, netts_api_key="sesam-1", trongrid_api_key="sesam-2")
    monkeypatch.setattr(credentials, "CREDSTORE", file.parent / "credentials")
    settings = load(file, {}).settings
    assert (settings.node.keys(), settings.netts.key()) == (("sesam-2",), "sesam-1")


def test_a_credential_that_is_not_there_is_a_variable_that_is_not_set(file: Path) -> None:
    with pytest.raises(ConfigFaults, match="trongrid_api_key is not set in the environment"):
        load(file, _given(file, netts_api_key="sesam-1"))


def test_a_credential_that_no_setting_can_be_is_named_and_not_shown(file: Path) -> None:
    with pytest.raises(ConfigFaults, match=r"the value of \$\{trongrid_api_key\} cannot be used here") as faults:
        load(file, _given(file, netts_api_key="sesam-1", trongrid_api_key="sesam-2\nsesam-3"))
    assert "sesam" not in str(faults.value)
