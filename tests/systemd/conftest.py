"""The engine's stage, for what a daemon on it tells systemd."""

from ..engine.conftest import folder, pytest_pyfunc_call, stage  # noqa: TID252 - the same stage

__all__ = ["folder", "pytest_pyfunc_call", "stage"]
