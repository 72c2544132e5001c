"""`python -m canaryproxy`."""

from canaryproxy.cli import main

if __name__ == "__main__":
    main()
