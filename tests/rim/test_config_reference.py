"""The reference of the files says what the models say."""

from pathlib import Path

from energyd.config.reference import reference

WRITTEN = Path(__file__).parents[2] / "docs" / "reference.md"


def test_the_reference_is_as_the_models_are() -> None:
    anew = "write it anew: python -m energyd.config.reference > docs/reference.md"
    assert WRITTEN.read_text(encoding="utf-8") == reference(), anew


def test_every_key_says_what_it_is_for() -> None:
    rows = [line.split(" | ") for line in reference().splitlines() if line.startswith("| `")]
    nested = {"node", "netts", "log", "energy", "host_mode", "order_energy", "cycles_per_order"}
    silent = {row[0].strip("| `") for row in rows if row[3].strip(" |") == ""}
    assert silent <= nested
