"""Files are found by name or by hash, fetched whole or not at all, and refused when altered."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sources_made import entry, put, source

from rb_support import cache as cache_module
from rb_support.sources import (
    SOURCES,
    SourceError,
    SourceFile,
    at_hand,
    fetch,
    locate,
    store,
    verify,
)
from rb_support.sources.errors import AlteredFileError, MissingSourceError, UnverifiedFileError

DATA = bytes(range(256)) * 2000


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("RB_CACHE_DIR", str(folder))
    monkeypatch.delenv("RB_DATA_DIR", raising=False)
    return folder


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder that cannot be written."""
    folder = tmp_path / "data"
    put(folder, "one/a.txt", DATA)
    monkeypatch.setenv("RB_DATA_DIR", str(folder))
    for path in (folder, folder / "one"):
        path.chmod(0o555)
    before = sorted(folder.rglob("*"))
    yield folder
    assert sorted(folder.rglob("*")) == before
    for path in (folder, folder / "one"):
        path.chmod(0o755)


class Server(ThreadingHTTPServer):
    """Serves `body` at any address; the first `cuts` answers break off half-way."""

    body = DATA
    cuts = 0
    asked = 0


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        cut = self.server.asked <= self.server.cuts
        self.wfile.write(self.server.body[: len(self.server.body) // 2] if cut else self.server.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def _served(server: Server, name: str = "one/a.txt", *, known: bool = True) -> SourceFile:
    return entry(name, DATA, f"http://127.0.0.1:{server.server_port}/", known=known)


def test_found_by_its_registered_name(data: Path) -> None:
    made = source("made", entry("one/a.txt", DATA))
    located = locate(made)
    assert located.paths == (data / "one/a.txt",)
    assert located.files == (("one/a.txt", made.files[0].sha256),)
    assert at_hand(made) == 1


def test_found_by_hash_under_another_name(data: Path) -> None:
    made = source("made", entry("elsewhere/other.txt", DATA))
    assert locate(made).paths == (data / "one/a.txt",)
    assert [state.status for state in verify(made)] == ["verified"]
    assert at_hand(made) == 1


def test_a_file_of_the_same_size_is_not_taken_for_it(data: Path) -> None:
    made = source("made", entry("elsewhere/other.txt", DATA[::-1]))
    with pytest.raises(MissingSourceError):
        locate(made)


def test_found_in_the_cache(cache: Path) -> None:
    put(cache / "files", "one/a.txt", DATA)
    assert locate(source("made", entry("one/a.txt", DATA))).paths == (cache / "files/one/a.txt",)


def test_a_missing_source_says_what_to_do(data: Path, cache: Path) -> None:
    made = source("made", entry("one/a.txt", DATA), entry("b.txt", b"other"))
    with pytest.raises(MissingSourceError) as caught:
        locate(made)
    message = str(caught.value)
    for part in (
        "1 of 2 files",
        "b.txt",
        "http://127.0.0.1:9/b.txt",
        str(data),
        str(cache),
        "data fetch made",
    ):
        assert part in message


@pytest.mark.parametrize("found", [DATA[:-1], DATA[:-1] + b"x", b""])
def test_an_altered_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: bytes) -> None:
    made = source("made", entry("one/b.txt", DATA))
    path = put(tmp_path / "mine", "one/b.txt", found)
    monkeypatch.setenv("RB_DATA_DIR", str(tmp_path / "mine"))
    with pytest.raises(AlteredFileError) as caught:
        locate(made)
    message = str(caught.value)
    expected = made.files[0].sha256 or ""
    for part in (
        str(path),
        f"{len(found):,} bytes",
        f"{len(DATA):,} bytes",
        expected,
        cache_module.digest(path),
    ):
        assert part in message
    assert "delete it, or run `python -m rb_support data fetch made`" in message
    assert [state.status for state in verify(made)] == ["altered"]


def test_a_sound_copy_in_the_cache_stands_in_for_an_altered_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server, cache: Path
) -> None:
    put(tmp_path / "mine", "one/a.txt", b"altered")
    monkeypatch.setenv("RB_DATA_DIR", str(tmp_path / "mine"))
    located = fetch(source("made", _served(server)), progress=False)
    assert located.paths == (cache / "files/one/a.txt",)
    assert (tmp_path / "mine/one/a.txt").read_bytes() == b"altered"


def test_an_altered_file_in_the_cache_is_fetched_again(server: Server, cache: Path) -> None:
    put(cache / "files", "one/a.txt", b"altered")
    made = source("made", _served(server))
    with pytest.raises(AlteredFileError):
        locate(made)
    assert fetch(made, progress=False).paths[0].read_bytes() == DATA


def test_a_data_folder_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RB_DATA_DIR", str(tmp_path / "none"))
    with pytest.raises(SourceError, match="RB_DATA_DIR is .*none, which is no folder"):
        locate(source("made", entry("a", b"a")))


def test_a_cache_that_cannot_be_made_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put(tmp_path, "file", b"")
    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.raises(SourceError, match="set RB_CACHE_DIR"):
        cache_module.cache_dir()


def test_a_cache_that_cannot_be_written_is_refused(cache: Path, data: Path) -> None:
    (cache / "trusted.json.lock").mkdir(parents=True)
    with pytest.raises(SourceError, match=r"cache cannot be written \(Is a directory\); set RB_CACHE_DIR"):
        locate(source("made", entry("one/a.txt", DATA, known=False)), allow_unverified=True)


def test_hashes_are_remembered_until_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path, "file.txt", b"first")
    first = cache_module.known_digest(path)
    with monkeypatch.context() as patched:
        patched.setattr(cache_module, "digest", lambda _: pytest.fail("hashed again"))
        assert cache_module.known_digest(path) == first
    put(tmp_path, "file.txt", b"other, longer")
    assert cache_module.known_digest(path) == cache_module.digest(path) != first


def test_an_altered_file_is_found_out_whatever_its_time_says(tmp_path: Path, monkeypatch: Any) -> None:
    """Also one that changes between the look for it and its reading."""
    monkeypatch.setenv("RB_DATA_DIR", str(tmp_path))
    path, made = put(tmp_path, "a.txt", b"good"), source("made", entry("a.txt", b"good"))
    located, state = locate(made), path.stat()
    path.write_bytes(b"evil")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(AlteredFileError, match="was changed while it was read"):
        located.read("a.txt")
    with pytest.raises(AlteredFileError, match="is not the published"):
        locate(made)
    path.write_bytes(b"good")
    assert located.read("a.txt") == b"good"


def test_what_is_at_hand_is_not_fetched(server: Server, data: Path) -> None:
    made = source("made", entry("one/a.txt", DATA), _served(server, "deep/er/b.txt"))
    located = fetch(made, progress=False)
    assert located.paths == (data / "one/a.txt", data / "one/a.txt")  # the second one by its hash
    assert server.asked == 0


def test_a_fetched_file_is_not_fetched_again(server: Server, cache: Path) -> None:
    made = source("made", _served(server, "deep/er/b.txt"))
    for _ in range(2):
        assert fetch(made, progress=False).paths == (cache / "files/deep/er/b.txt",)
    assert server.asked == 1


def test_progress_is_shown_on_stderr(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    fetch(source("made", _served(server)))
    captured = capfd.readouterr()
    assert "100%" in captured.err
    assert captured.out == ""


def test_a_cut_download_is_tried_again(server: Server) -> None:
    server.cuts = 1
    assert fetch(source("made", _served(server)), progress=False).paths[0].read_bytes() == DATA
    assert server.asked == 2


@pytest.mark.parametrize("known", [True, False])
def test_a_cut_download_leaves_nothing_and_starts_cleanly(server: Server, cache: Path, known: bool) -> None:
    made = source("made", _served(server, known=known))
    server.cuts = 1
    with pytest.raises(SourceError) as caught:
        fetch(made, progress=False, retries=0, allow_unverified=True)
    for part in (
        "one/a.txt",
        f"http://127.0.0.1:{server.server_port}/one/a.txt",
        "nothing was kept",
        "RB_DATA_DIR",
    ):
        assert part in str(caught.value)
    assert [path for path in (cache / "files").rglob("*") if path.is_file()] == []
    assert fetch(made, progress=False, retries=0, allow_unverified=True).paths[0].read_bytes() == DATA


@pytest.mark.parametrize("body", [DATA[:-7], DATA[::-1]])
def test_a_download_of_other_bytes_is_refused(server: Server, cache: Path, body: bytes) -> None:
    server.body = body
    with pytest.raises(SourceError, match="bytes came where 512,000" if len(body) != len(DATA) else "SHA256"):
        fetch(source("made", _served(server)), progress=False, retries=0)
    assert [path for path in (cache / "files").rglob("*") if path.is_file()] == []


def test_an_address_where_nobody_answers(cache: Path) -> None:
    with pytest.raises(SourceError, match="a.txt could not be downloaded from http://127.0.0.1:9/a.txt"):
        fetch(source("made", entry("a.txt", DATA)), progress=False, retries=0)


def test_an_unknown_hash_needs_the_flag_and_is_held_to(server: Server, cache: Path) -> None:
    made = source("made", _served(server, known=False))
    with pytest.raises(UnverifiedFileError, match="--allow-unverified"):
        fetch(made, progress=False)
    assert server.asked == 0
    fetched = fetch(made, progress=False, allow_unverified=True)
    recorded = json.loads((cache / store.TRUSTED).read_text())
    assert recorded == {"one/a.txt": cache_module.digest(fetched.paths[0])}
    assert locate(made).hashes == fetched.hashes  # the flag is needed once
    assert [state.status for state in verify(made)] == ["verified"]
    put(cache / "files", "one/a.txt", DATA[::-1])
    with pytest.raises(AlteredFileError, match=r"first taken on trust.*trusted\.json"):
        locate(made, allow_unverified=True)


def test_a_file_of_unknown_hash_at_hand_needs_the_flag(data: Path, cache: Path) -> None:
    made = source("made", entry("one/a.txt", DATA, known=False))
    with pytest.raises(UnverifiedFileError, match="allow_unverified=True"):
        locate(made)
    assert [state.status for state in verify(made)] == ["unverified"]
    assert locate(made, allow_unverified=True).paths == (data / "one/a.txt",)
    assert locate(made).paths == (data / "one/a.txt",)


def test_rounded_sizes_only_guide_the_search(data: Path) -> None:
    exact = entry("elsewhere.txt", DATA)
    rounded = SourceFile(exact.name, exact.address, len(DATA) + 900, exact.sha256, exact=False)
    assert locate(source("made", rounded)).paths == (data / "one/a.txt",)
    far = SourceFile(exact.name, exact.address, 2 * len(DATA), exact.sha256, exact=False)
    with pytest.raises(MissingSourceError):
        locate(source("made", far))


def test_real_files_are_found_by_hash_in_another_layout(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RB_DATA_DIR", str(tmp_path / "flat"))
    for i, file in enumerate(SOURCES["routerbench-slice"].files):
        put(tmp_path / "flat", f"{i}.bin", (shared_data / file.name).read_bytes())
    located = locate("routerbench-slice")
    assert [path.name for path in located.paths] == [f"{i}.bin" for i in range(6)]
