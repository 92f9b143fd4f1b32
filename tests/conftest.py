"""For all tests: how many go on at a time."""

import os


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors, because tests of real processes wait for much of their time."""
    return (os.cpu_count() or 1) + 1
