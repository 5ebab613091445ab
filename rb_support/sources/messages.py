"""What is said when a file cannot be used: which file, what was found, what to do."""

from __future__ import annotations

from pathlib import Path

from rb_support.sources.registry import Source, SourceFile

_COMMAND = "python -m rb_support data"


def size(file: SourceFile) -> str:
    """Number of bytes a file should have."""
    return f"{'' if file.exact else 'about '}{file.size:,}"


def missing(source: Source, files: list[SourceFile], data: Path | None, cache: Path) -> str:
    """Files of a source are neither under RB_DATA_DIR nor in the cache."""
    first = files[0]
    return (
        f"{source.name} is not at hand ({len(files)} of {len(source.files)} files): run "
        f"`{_COMMAND} fetch {source.name}`, or set RB_DATA_DIR to a folder that holds it; looked in "
        f"RB_DATA_DIR ({data or 'not set'}) and {cache}, first for {first.name} ({first.address})"
    )


def gone(file: SourceFile, owner: str) -> str:
    """One file is nowhere."""
    return f"{file.name} is not at hand ({file.address}); run `{_COMMAND} fetch {owner}`"


def altered(file: SourceFile, path: Path, found_size: int, found: str, owner: str) -> str:
    """A file's bytes are not the published ones."""
    return (
        f"{path} is not the published {file.name}: it has {found_size:,} bytes and sha256 {found}, expected "
        f"are {size(file)} bytes and sha256 {file.sha256}; delete it, or run `{_COMMAND} fetch {owner}` "
        "for a sound copy in the cache"
    )


def changed(file: SourceFile, path: Path, found: str, trusted: str, record: Path) -> str:
    """A file's bytes are not those that were trusted at first use."""
    return (
        f"{path} has sha256 {found}, but {file.name} had {trusted} when it was first taken on trust; "
        f"bring back those bytes, or, to trust the new ones, delete its line in {record}"
    )


def unverified(file: SourceFile, owner: str) -> str:
    """No hash is known for a file."""
    return (
        f"no published sha256 is known for {file.name} ({file.address}); to take it on trust, run "
        f"`{_COMMAND} fetch {owner} --allow-unverified` or pass allow_unverified=True: its hash is recorded, "
        "and other bytes are refused from then on"
    )


def failed(file: SourceFile, error: Exception) -> str:
    """A download broke off or brought other bytes."""
    return (
        f"{file.name} could not be downloaded from {file.address} ({error}); nothing was kept: try again, or "
        "get the file by other means and set RB_DATA_DIR to its folder"
    )
