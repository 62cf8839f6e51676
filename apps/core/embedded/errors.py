"""What goes wrong while starting services, in sentences for the person at the terminal."""

import errno
from pathlib import Path

_REASONS = {
    errno.EACCES: "there is no permission to write there",
    errno.EPERM: "there is no permission to write there",
    errno.EROFS: "that file system is read-only",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.ENOTDIR: "something in that path is a file, not a folder",
    errno.EEXIST: "a file of that name is in the way",
}


class ServiceError(Exception):
    """Services cannot start. The message is one clear sentence that names the remedy."""


def storage_error(error: OSError, folder: Path) -> ServiceError:
    """`error`, met while writing below `folder`, as a sentence."""
    reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
    remedy = "Free some space" if error.errno in {errno.ENOSPC, errno.EDQUOT} else "Make it writable"
    return ServiceError(f"Cannot use the data folder {folder}: {reason}. {remedy}, or set DATA_DIR to another folder.")
