"""The stage of the engine's tests, for what the page shows."""

from ..engine.conftest import folder, pytest_pyfunc_call, stage  # noqa: TID252 - the same stage

__all__ = ["folder", "pytest_pyfunc_call", "stage"]
