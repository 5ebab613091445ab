"""The registry names every file of the design, with the sizes and hashes of the real ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from rb_support.cache import digest
from rb_support.sources import SOURCES
from rb_support.sources.errors import UnknownSourceError

NAMES = (
    "routerbench-0shot", "routerbench-5shot", "routerbench-raw", "routerbench-slice", "routellm-mmlu",
    "routellm-gsm8k", "routellm-mtbench", "routellm-commercial", "zeroeval-gsm", "alpaca-eval",
    "mtbench-claude", "arena-55k", "routellm-judge", "routerbench-sample", "routerbench-rag", "search-qa",
    "alpaca-eval-pair", "mtbench-llama31", "arena-bench", "arena-battles",
)  # fmt: skip
FILES = [file for source in SOURCES.values() for file in source.files]


def test_every_source_of_the_design_is_there() -> None:
    assert sorted(SOURCES) == sorted(NAMES)
    assert all(source.licence and source.citation and source.files for source in SOURCES.values())


def test_local_names_and_addresses_are_unique() -> None:
    assert len({file.name for file in FILES}) == len({file.address for file in FILES}) == len(FILES)


def test_addresses_are_pinned_to_a_revision() -> None:
    [rag] = SOURCES["routerbench-rag"].files
    assert "/784e39c/" in rag.address  # only the short form of that revision is known
    for file in [file for file in FILES if file != rag]:
        revision = next((part for part in urlsplit(file.address).path.split("/") if len(part) == 40), "")
        assert int(revision, 16) >= 0, file.address


def test_addresses_are_quoted() -> None:
    [odd] = [file for file in FILES if "@" in file.name]
    path = urlsplit(odd.address).path
    assert path.endswith("gemma-2-27b-it%40together.json")
    assert unquote(path).endswith("gemma-2-27b-it@together.json")


def test_only_the_arena_and_what_was_deleted_have_no_published_hash() -> None:
    unknown = [file.name for file in FILES if file.sha256 is None]
    assert unknown == ["routerbench/routerbench_rag.pkl", "arena/train.csv"]


def test_sizes_and_hashes_are_those_of_the_real_files(shared_data: Path) -> None:
    """Files that nobody registered may lie beside them."""
    paths = {file: shared_data / file.name for file in FILES if file.sha256}
    here = {file: path for file, path in paths.items() if path.is_file()}
    assert here, "none of the registered files lies there under its name"
    for file, path in here.items():
        assert digest(path) == file.sha256, file.name
        assert file.fits(path.stat().st_size), file.name


def test_only_files_that_nobody_could_measure_have_rounded_sizes() -> None:
    assert [file.name for file in FILES if not file.exact] == [
        "routerbench/routerbench_rag.pkl",
        "arena/train.csv",
        "routellm/gpt4_dataset/train.jsonl",
        "routellm/gpt4_dataset/valid.jsonl",
    ]


def test_published_sizes_of_the_pickles() -> None:
    sizes = {name: SOURCES[f"routerbench-{name}"].size for name in ("0shot", "5shot", "raw")}
    assert sizes == {"0shot": 99_567_659, "5shot": 171_091_324, "raw": 1_198_134_681}


def test_an_unknown_name_is_refused_with_a_hint() -> None:
    with pytest.raises(UnknownSourceError, match="did you mean 'routellm-mmlu'"):
        SOURCES["routelm-mmlu"]
    assert "routelm-mmlu" not in SOURCES


def test_importing_does_no_work(tmp_path: Path) -> None:
    """Neither settings nor cache nor registry are touched before somebody asks."""
    code = "from rb_support.sources import SOURCES; assert '_sources' not in vars(SOURCES)"
    environment = {"RB_DATA_DIR": str(tmp_path / "none"), "RB_CACHE_DIR": str(tmp_path / "cache"), "PATH": ""}
    subprocess.run(
        [sys.executable, "-c", code], check=True, env=environment, cwd=Path(__file__).parent.parent
    )
    assert list(tmp_path.iterdir()) == []
