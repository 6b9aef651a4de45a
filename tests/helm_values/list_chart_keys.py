"""
Lists the keys of a chart's values, one path a line; ``helm show values`` gives them on standard input.

What an empty mapping may hold is up to whoever fills it: ``path.*``. Sections of ``config`` are Airflow's own options
and are left out: the test asks Airflow for them.
"""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import yaml


def paths(values: Mapping[str, Any], parent: str = "") -> Iterator[str]:
    for key, value in values.items():
        path = f"{parent}{key}"
        if path == "config":
            continue
        if isinstance(value, dict):
            yield from paths(value, f"{path}.") if value else (f"{path}.*",)
        else:
            yield path


if __name__ == "__main__":
    sys.stdout.writelines(f"{path}\n" for path in sorted(paths(yaml.safe_load(sys.stdin))))
