from pathlib import Path

import pytest

from tests.vault.shelves import MemoryShelf, Shelf, SqliteShelf


@pytest.fixture(params=["memory", "sqlite"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    """One vault's place, on every store in turn."""
    return MemoryShelf() if request.param == "memory" else SqliteShelf(tmp_path / "vault.db")
