"""
Load a bundle in this process and replay its golden rows.

``python -m include.serving.model.replay --bundle DIR --digest …``

What the package step runs in a process of its own: nothing that the training process had in memory can help the model
there. Exit code 0 and one line of JSON; 65 where the bundle is not what it should be or answers differently.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from include.errors import EXIT_DONE, PlatformError
from include.packaging.files import read_bundle
from include.serving.model.predictor import load_predictor


def parser() -> argparse.ArgumentParser:
    """The command line."""
    whole = argparse.ArgumentParser(prog="python -m include.serving.model.replay", description=__doc__)
    whole.add_argument("--bundle", required=True, type=Path, help="the bundle's folder")
    whole.add_argument("--digest", required=True, help="digest that the bundle must have, sha256:…")
    return whole


def main(arguments: Sequence[str]) -> int:
    """Replay; returns the exit code."""
    given = parser().parse_args(arguments)
    try:
        bundle = read_bundle(given.bundle, given.digest)
        predictor = load_predictor(bundle)
    except PlatformError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    result = {"golden_rows": len(bundle.golden().predictions), "direct": predictor.direct is not None}
    sys.stdout.write(json.dumps(result) + "\n")
    return EXIT_DONE


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
