"""The stage that the differential tests play on."""

from collections.abc import Iterator

import pytest

from tests.differential.stage import Stage, stage
from tests.kit.servers import Server


@pytest.fixture(scope="session")
def shop(pg18: Server) -> Iterator[Stage]:
    with stage(pg18, "shop") as made:
        yield made


@pytest.fixture(scope="session")
def shop15(pg15: Server) -> Iterator[Stage]:
    with stage(pg15, "shop") as made:
        yield made
