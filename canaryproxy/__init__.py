"""canaryproxy: ships a new version to 1 % of real users and takes it back in seconds."""

__version__ = "0.1.0"
