"""Fixtures shared by all tests: where the real data and the golden vectors lie, if they are here."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("HF_HUB_OFFLINE", "1")
settings.register_profile("untimed", deadline=None)  # time says nothing on a busy machine
settings.load_profile("untimed")


def _shared(*parts: str) -> Path:
    return ROOT.parent.joinpath("shared", *parts)


@pytest.fixture(autouse=True)
def _no_figure_stays_open() -> Iterator[None]:
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium, Chrome or Edge; skips where none is found."""
    from rb_support.app.classroom.paper import BROWSERS

    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser: looked for {', '.join(BROWSERS)}")
    return found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    """That browser, driven by Playwright; closed after each module, as its event loop bars any other."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the published files: RB_DATA_DIR, else ../shared/data; skips where neither is."""
    folder = Path(os.environ.get("RB_DATA_DIR") or _shared("data"))
    if not folder.is_dir():
        pytest.skip(f"real data not here: set RB_DATA_DIR (looked for {folder.name})")
    return folder


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cache in which tables of the published files stay, once one test has parsed them."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def real(shared_data: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the published files, all of which are there, with a cache that all tests share."""
    for name in ("zeroeval", "arena_battles"):
        if not (shared_data / name).is_dir():
            pytest.skip(f"these real files are not here ({name}/)")
    monkeypatch.setenv("RB_DATA_DIR", str(shared_data))
    monkeypatch.setenv("RB_CACHE_DIR", str(kept))
    return shared_data


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`sources_made.shelf`, with a data folder and a cache of its own."""
    from sources_made import shelf

    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path / "cache"))
    return shelf(tmp_path / "data", monkeypatch)


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Any]:
    """Reader of golden vectors by file name; skips where they are not at hand."""

    def read(name: str) -> Any:
        path = _shared("golden", name)
        if not path.is_file():
            pytest.skip(f"golden vectors not here ({name})")
        return json.loads(path.read_text())

    return read
