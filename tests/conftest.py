"""What every test folder shares: the marker `verifies`, the fixture `ran` (see verifying.py), and the order.

    pytestmark = pytest.mark.takes(100)

says of a file that it takes about 100 seconds. Files that take long begin first, so that no core is idle at
the end while another still has a long one to do; of the others those with many tests. With xdist,
`--no-loadscope-reorder` keeps that order.
"""

from collections import Counter

import pytest

pytest_plugins = ["verifying"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "takes(seconds): about how long the whole file takes")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tests = Counter(item.path for item in items)

    def weight(item: pytest.Item) -> tuple[float, int]:
        mark = item.get_closest_marker("takes")
        return float(mark.args[0]) if mark else 0.0, tests[item.path]

    items.sort(key=weight, reverse=True)
