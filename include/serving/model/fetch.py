"""
Fetch one sealed bundle: ``python -m include.serving.model.fetch --project flights --digest sha256:… --to /model``.

Runs before the server in a pod where the bundle cannot be mounted. Every file is compared with its digest before it is
written. Exit codes are those of ``include.errors``.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from include.errors import EXIT_DONE, PlatformError
from include.packaging.files import write_bundle
from include.stores.installation import Stores
from include.stores.objects.bundles import sealed_bundle


def parser() -> argparse.ArgumentParser:
    """The command line."""
    whole = argparse.ArgumentParser(prog="python -m include.serving.model.fetch", description=__doc__)
    whole.add_argument("--project", required=True, help="the project whose model it is")
    whole.add_argument("--digest", required=True, help="digest of the bundle, sha256:…")
    whole.add_argument("--to", required=True, type=Path, help="folder to write the bundle into")
    return whole


def main(arguments: Sequence[str]) -> int:
    """Fetch; returns the exit code."""
    given = parser().parse_args(arguments)
    try:
        write_bundle(sealed_bundle(Stores().objects, given.project, given.digest), given.to)
    except PlatformError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return EXIT_DONE


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
