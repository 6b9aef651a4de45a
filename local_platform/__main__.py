"""``python3 -m local_platform COMMAND``: starts on the system's Python and goes on in the project's environment."""

import sys

# Before any import of the project: an older Python fails on its syntax, with a message that names no cure.
if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit(
        "This is Python %d.%d, and the project needs Python 3.11, 3.12 or 3.13: install one of them and name it, as in "  # noqa: UP031
        "'make run PYTHON=python3.12'." % sys.version_info[:2]
    )

from local_platform import bootstrap

if __name__ == "__main__":
    sys.exit(bootstrap.main(sys.argv[1:]))
