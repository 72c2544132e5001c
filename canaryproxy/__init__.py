"""canaryproxy: ships a new version to 1 % of real users and takes it back in seconds."""

import os
import sys

from canaryproxy.isolated import settle

sys.path[:] = settle(
    sys.path, sys.argv[0] if sys.argv else "", os.environ,
    safe=sys.flags.safe_path, deaf=bool(sys.flags.ignore_environment),
)  # fmt: skip

from canaryproxy.mode import choose  # noqa: E402 - only what is imported from here on is sure to be no stranger's

__version__ = "0.2.0"

# How the modules below are imported; the workers inherit the switch.
MODE = choose(os.environ)
