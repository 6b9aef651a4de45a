"""What is wrong with the flights' tables after whatever happened to the job."""

from collections import Counter
from collections.abc import Sequence

from include.stores.tables.protocol import TableStore

KEY = ("carrier", "flight", "time_hour")
TABLES = ("flights/raw/flights", "flights/validated/flights", "flights/features/departure_delay_v1")
ROWS_AT_LEAST = 20_000
"""Of a month; the smallest of 2013 has 24,951."""


def faults_of(tables: TableStore, months: Sequence[str]) -> list[str]:
    """Partitions that are missing, too many, doubled or torn; none if all is well."""
    faults = []
    for name in TABLES:
        partitions = tables.partitions(name)
        if partitions != list(months):
            faults.append(f"{name} has the partitions {', '.join(partitions)}")
        for month in partitions:
            rows = tables.read(name, month, columns=list(KEY)).to_pylist()
            keys = Counter(tuple(row[part] for part in KEY) for row in rows)
            if len(keys) < len(rows):
                faults.append(f"{name} of {month}: {len(rows) - len(keys)} of {len(rows)} rows are there twice")
            if len(rows) < ROWS_AT_LEAST:
                faults.append(f"{name} of {month}: {len(rows)} rows")
    return faults
