"""The steps' entry point: ``python -m include.steps <step> --project flights --partition 2013-03 --run by-hand``."""

import sys

from include.runtime.cli import main

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
