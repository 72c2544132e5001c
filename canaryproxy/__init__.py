"""canaryproxy: ships a new version to 1 % of real users and takes it back in seconds."""

import os

from canaryproxy.mode import choose

__version__ = "0.1.0"

MODE = choose(os.environ)
"""How the modules below are imported; the workers inherit the switch."""
