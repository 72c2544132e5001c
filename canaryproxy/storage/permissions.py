"""Who may read and write the files of a state: our user alone, whatever umask and earlier versions say. They hold
who did what, and rules and canaries that were set over the API.
"""

import logging
import os
import stat
from pathlib import Path

from canaryproxy.storage.location import COMPANIONS

MODE = 0o600

log = logging.getLogger("canaryproxy")


def keep_private(path: Path) -> None:
    """Make the file if there is none, and close it and those beside it to others. SQLite gives the ones that it makes
    the mode of the first. Raises `OSError` where it cannot be made.
    """
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, MODE))
    for one in (path, *(Path(f"{path}{end}") for end in COMPANIONS)):
        tighten(one)


def tighten(path: Path) -> None:
    """Take from a file what group and others may do with it; say so where that cannot be done."""
    try:
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode) and stat.S_IMODE(mode) & ~MODE:
            path.chmod(stat.S_IMODE(mode) & MODE)
            log.info("%s was open to other users; its mode is %o now", path, stat.S_IMODE(mode) & MODE)
    except FileNotFoundError:
        return
    except OSError as error:
        log.warning("%s is open to other users, and that cannot be changed: %s", path, error.strerror)
