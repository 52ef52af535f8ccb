"""A folder as it was, and making it so again: how a host's configuration gets back to the baseline in milliseconds."""

import os
import shutil
from pathlib import Path


def snapshot(live: Path, kept: Path) -> None:
    """Keep a copy of a folder, with owners, modes, times and links; a folder that is not there is kept as absent."""
    if live.is_dir():
        copy(live, kept)


def bring_back(live: Path, kept: Path) -> list[str]:
    """Make a live folder equal to its snapshot; returns what had to be changed, for whoever wants to know."""
    if not kept.is_dir():
        return _remove_contents(live)
    return _bring_back_folder(live, kept)


def copy(source: Path, target: Path) -> None:
    """Copy a file, link or folder with everything that stat shows about it."""
    if source.is_symlink():
        target.symlink_to(source.readlink())
    elif source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        for entry in source.iterdir():
            copy(entry, target / entry.name)
    else:
        shutil.copyfile(source, target)
    _copy_about(source, target)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _remove_contents(live: Path) -> list[str]:
    entries = list(live.iterdir()) if live.is_dir() else []
    for entry in entries:
        remove(entry)
    return [str(entry) for entry in entries]


def _bring_back_folder(live: Path, kept: Path) -> list[str]:
    wanted = {entry.name for entry in kept.iterdir()}
    changed = []
    for entry in list(live.iterdir()):
        if entry.name not in wanted:
            remove(entry)
            changed.append(str(entry))
    for name in sorted(wanted):
        changed += _bring_back_entry(live / name, kept / name)
    if _owner_and_mode(live) != _owner_and_mode(kept):
        _copy_about(kept, live)
        changed.append(str(live))
    return changed


def _bring_back_entry(live: Path, kept: Path) -> list[str]:
    if kept.is_dir() and live.is_dir() and not kept.is_symlink() and not live.is_symlink():
        return _bring_back_folder(live, kept)
    if _same(live, kept):
        return []
    if os.path.lexists(live):
        remove(live)
    copy(kept, live)
    return [str(live)]


def _same(live: Path, kept: Path) -> bool:
    """Equal in kind, owner, mode and content. Times are left out: a file rewritten with the same text is the same."""
    if not os.path.lexists(live):
        return False
    if _owner_and_mode(live) != _owner_and_mode(kept):
        return False
    if kept.is_symlink():
        return live.readlink() == kept.readlink()
    return live.read_bytes() == kept.read_bytes()


def _owner_and_mode(path: Path) -> tuple[int, int, int]:
    about = path.lstat()
    return about.st_mode, about.st_uid, about.st_gid


def _copy_about(source: Path, target: Path) -> None:
    about = source.lstat()
    os.chown(target, about.st_uid, about.st_gid, follow_symlinks=False)
    if not source.is_symlink():
        target.chmod(about.st_mode & 0o7777)
        os.utime(target, ns=(about.st_atime_ns, about.st_mtime_ns))
