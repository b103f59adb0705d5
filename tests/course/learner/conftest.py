"""A passport of the test's own."""

import pytest


@pytest.fixture(autouse=True)
def work_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("CAPSTONE_WORK_DIR", str(tmp_path / "work"))
    return tmp_path / "work"
