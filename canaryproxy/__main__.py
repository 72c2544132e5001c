"""`python -m canaryproxy`, and the console script. A probe is asked without the rest of the command line."""

import os
import sys


def main() -> None:
    """Run the command that the arguments name."""
    if sys.argv[1:2] == ["probe"]:
        from canaryproxy import probe  # noqa: PLC0415

        question = probe.read(sys.argv[2:])
        if question is not None:
            sys.exit(probe.run(question, os.environ))
    from canaryproxy import cli  # noqa: PLC0415 - it costs a probe three times its time

    cli.main()


if __name__ == "__main__":
    main()
