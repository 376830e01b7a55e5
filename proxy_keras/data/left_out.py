"""Files and folders that no user put there."""

from __future__ import annotations

# Of network drives, editors and operating systems; those that begin with "." are hidden anyway.
_LEFT_BEHIND = frozenset(
    name.casefold()
    for name in (
        "@eaDir",
        "@Recently-Snapshot",
        "@Recycle",
        "@sharebin",
        "@tmp",
        "#recycle",
        "#snapshot",
        "~snapshot",
        "$RECYCLE.BIN",
        "RECYCLER",
        "System Volume Information",
        "found.000",
        "lost+found",
        "__MACOSX",
        "__pycache__",
        "_gsdata_",
        "ipynb_checkpoints",
        "Network Trash Folder",
        "Temporary Items",
        "TheVolumeSettingsFolder",
        "Thumbs.db",
        "Thumbs.db:encryptable",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "desktop.ini",
        "Icon\r",
    )
)


def is_left_out(name: str) -> bool:
    """Return whether a file or folder is hidden, or was left by a system and not by a user.

    Args:
        name: Its name, without the folders above it: ".git", "@eaDir", "Thumbs.db", "a.png~".
    """
    return name.startswith((".", "~$")) or name.endswith("~") or name.casefold() in _LEFT_BEHIND
