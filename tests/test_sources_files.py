"""Files are found by name or by hash, fetched whole or not at all, and refused when altered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
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
    files,
    locate,
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
    told, endless, pause, sent = True, False, 0.0, 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked += 1
        self.send_response(200)
        if self.server.told:
            self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        while self.server.endless:
            try:
                self.server.sent += self.wfile.write(self.server.body)
            except OSError:
                return
            time.sleep(self.server.pause)
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
    return entry(name, DATA, server.url, known=known)


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


@pytest.mark.parametrize("link", ["the folder itself", "a folder in it", "a file in it", "a chain of links"])
def test_found_behind_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: str) -> None:
    put(tmp_path, "far/one/a.txt", DATA)
    top = tmp_path / "data"
    if link == "the folder itself":
        top.symlink_to(tmp_path / "far")
    elif link == "a folder in it":
        top.mkdir()
        (top / "mine").symlink_to(tmp_path / "far", target_is_directory=True)
    elif link == "a file in it":
        top.mkdir()
        (top / "my.bin").symlink_to(tmp_path / "far/one/a.txt")
    else:
        (tmp_path / "two").symlink_to(tmp_path / "far")
        top.mkdir()
        (top / "three").symlink_to(tmp_path / "two")
    monkeypatch.setenv("RB_DATA_DIR", str(top))
    for name in ("one/a.txt", "elsewhere/b.txt"):
        made = source("made", entry(name, DATA))
        assert locate(made).paths[0].read_bytes() == DATA
        assert (at_hand(made), verify(made)[0].status) == (1, "verified")


def test_links_that_lead_back_or_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = tmp_path / "data"
    put(top, "a/b/c.txt", DATA)
    (top / "a" / "back").symlink_to(top)
    (top / "a" / "b" / "up").symlink_to("..")
    (top / "self").symlink_to("self")
    (top / "nowhere").symlink_to(tmp_path / "none")
    put(tmp_path, "other/z.txt", b"z")
    (top / "twice").symlink_to(tmp_path / "other")
    (tmp_path / "other" / "home").symlink_to(top)
    monkeypatch.setenv("RB_DATA_DIR", str(top))
    assert locate(source("made", entry("x.txt", DATA), entry("y.txt", b"z"))).paths[1].name == "z.txt"
    assert at_hand(source("made", entry("self", b"none of it"))) == 0


def _barred(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Let a file be one that this user may not read (tests may run as one who may read everything)."""
    real = Path.open

    def opened(self: Path, *args: Any, **options: Any) -> Any:
        if self == path:
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, *args, **options)

    monkeypatch.setattr(Path, "open", opened)


@pytest.mark.parametrize("name", ["one/a.txt", "elsewhere/b.txt"])
def test_a_file_that_may_not_be_read_is_named(data: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    made = source("made", entry(name, DATA))
    _barred(monkeypatch, data / "one/a.txt")
    said = f"{data / 'one/a.txt'} cannot be read (Permission denied)"
    with pytest.raises(MissingSourceError) as caught:
        locate(made)
    assert said in str(caught.value)
    [state] = verify(made)
    assert (state.status, said in state.detail) == ("missing", True)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions bind nobody here")
def test_a_folder_that_may_not_be_entered_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "data/one/a.txt", DATA)
    put(tmp_path, "data/two/b.txt", b"b")
    monkeypatch.setenv("RB_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "data/one").chmod(0)
    try:
        with pytest.raises(MissingSourceError, match=r"data/one.* cannot be read \(Permission denied\)"):
            locate(source("made", entry("one/a.txt", DATA)))
        assert locate(source("made", entry("b.txt", b"b"))).paths[0].name == "b.txt"
    finally:
        (tmp_path / "data/one").chmod(0o755)


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
    located = fetch(source("made", _served(server)))
    assert located.paths == (cache / "files/one/a.txt",)
    assert (tmp_path / "mine/one/a.txt").read_bytes() == b"altered"


def test_an_altered_file_in_the_cache_is_fetched_again(server: Server, cache: Path) -> None:
    put(cache / "files", "one/a.txt", b"altered")
    made = source("made", _served(server))
    with pytest.raises(AlteredFileError):
        locate(made)
    assert fetch(made).paths[0].read_bytes() == DATA


def test_a_data_folder_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RB_DATA_DIR", str(tmp_path / "none"))
    with pytest.raises(
        SourceError, match=r"RB_DATA_DIR is .*none, which is no folder .*\(No such file or directory\)"
    ):
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
    located = fetch(made)
    assert located.paths == (data / "one/a.txt", data / "one/a.txt")  # the second one by its hash
    assert server.asked == 0


def test_a_fetched_file_is_not_fetched_again(server: Server, cache: Path) -> None:
    made = source("made", _served(server, "deep/er/b.txt"))
    for _ in range(2):
        assert fetch(made).paths == (cache / "files/deep/er/b.txt",)
    assert server.asked == 1


def test_progress_is_shown_on_stderr(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    fetch(source("made", _served(server)))
    captured = capfd.readouterr()
    assert "100%" in captured.err
    assert captured.out == ""


def test_a_cut_download_is_tried_again(server: Server) -> None:
    server.cuts = 1
    assert fetch(source("made", _served(server))).paths[0].read_bytes() == DATA
    assert server.asked == 2


@pytest.mark.parametrize("known", [True, False])
def test_a_cut_download_leaves_nothing_and_starts_cleanly(server: Server, cache: Path, known: bool) -> None:
    made = source("made", _served(server, known=known))
    server.cuts = 2
    with pytest.raises(SourceError) as caught:
        fetch(made, allow_unverified=True)
    for part in (
        "one/a.txt",
        f"http://127.0.0.1:{server.server_port}/one/a.txt",
        "nothing was kept",
        "RB_DATA_DIR",
    ):
        assert part in str(caught.value)
    assert [path for path in (cache / "files").rglob("*") if path.is_file()] == []
    assert fetch(made, allow_unverified=True).paths[0].read_bytes() == DATA


@pytest.mark.parametrize("told", [True, False])
def test_a_server_that_sends_too_much_is_left(server: Server, cache: Path, told: bool) -> None:
    """Whether it says so beforehand or goes on for ever."""
    server.body, server.endless, server.told = DATA + bytes(10**7), not told, told
    with pytest.raises(SourceError, match="more than 512,000 bytes came, and no more were expected"):
        fetch(source("made", _served(server)))
    assert server.sent < 50 * 10**6
    assert [path for path in (cache / "files").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_a_page_in_place_of_a_file_is_named(server: Server, cache: Path, size: int) -> None:
    server.body = b"\n <!DOCTYPE html><html><title>Sign in</title>" + b" " * size
    with pytest.raises(SourceError, match="an HTML page came, as a proxy or a login page sends it"):
        fetch(source("made", _served(server)))
    assert [path for path in (cache / "files").rglob("*") if path.is_file()] == []


def test_what_a_killed_download_left_goes_at_the_next_start(server: Server, cache: Path) -> None:
    program = (
        "import sys; from sources_made import entry, source; from rb_support.sources import fetch\n"
        f"fetch(source('made', entry('one/a.txt', bytes(9), {server.url!r})))"
    )
    server.body, server.told, server.endless = b"\0", False, True
    server.pause = 60  # after the first byte
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)])}
    with subprocess.Popen([sys.executable, "-c", program], env=environment) as running:
        while not (left := list((cache / "files/one").glob(".a.txt.*.part"))):
            time.sleep(0.02)
        running.kill()
    assert [path for path in left if path.is_file()]
    server.body, server.told, server.endless, server.pause = DATA, True, False, 0
    assert fetch(source("other", _served(server, "two/b.txt"))).paths[0].read_bytes() == DATA
    assert sorted(path.name for path in (cache / "files").rglob("*") if path.is_file()) == ["b.txt"]


def test_a_folder_in_place_of_a_download_is_put_aside(server: Server, cache: Path) -> None:
    put(cache / "files", "one/a.txt/within", b"x")
    with pytest.warns(UserWarning, match=r"a\.txt was damaged \(it is a folder\)"):
        assert fetch(source("made", _served(server))).paths[0].read_bytes() == DATA


@pytest.mark.parametrize("body", [DATA[:-7], DATA[::-1]])
def test_a_download_of_other_bytes_is_refused(server: Server, cache: Path, body: bytes) -> None:
    server.body = body
    with pytest.raises(SourceError, match="bytes came where 512,000" if len(body) != len(DATA) else "SHA256"):
        fetch(source("made", _served(server)))
    assert [path for path in (cache / "files").rglob("*") if path.is_file()] == []


def test_an_address_where_nobody_answers(cache: Path) -> None:
    with pytest.raises(SourceError, match="a.txt could not be downloaded from http://127.0.0.1:9/a.txt"):
        fetch(source("made", entry("a.txt", DATA)))


def test_an_unknown_hash_needs_the_flag_and_is_held_to(server: Server, cache: Path) -> None:
    made = source("made", _served(server, known=False))
    with pytest.raises(UnverifiedFileError, match="--allow-unverified"):
        fetch(made)
    assert server.asked == 0
    fetched = fetch(made, allow_unverified=True)
    recorded = json.loads((cache / files.TRUSTED).read_text())
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
