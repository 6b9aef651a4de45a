"""Writes made-up parcels, one CSV file a month: ``python make_rows.py FOLDER``."""

import csv
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

DEPOTS = {"north": 0.0, "harbour": 25.0, "airport": 10.0}
"""Minutes that a parcel of the depot is late by nature."""
BAD_DAY_CHANCE = 0.01
"""For a depot, with each parcel that it gives away in the first hour of a day."""
FIRST, LAST = datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 8, 1, tzinfo=UTC)
COLUMNS = ("parcel", "picked_up", "depot", "distance_km", "weight_kg", "took_minutes", "delay_minutes")


def parcels(seed: int = 7) -> list[dict[str, object]]:
    """One row a parcel; now and then a depot has a bad day, on which most of its parcels are late."""
    draw = random.Random(seed)  # noqa: S311 (made-up rows, no secret)
    rows: list[dict[str, object]] = []
    moment, bad_days = FIRST, set[tuple[str, int]]()
    while moment < LAST:
        depot = draw.choice(list(DEPOTS))
        day = (depot, moment.toordinal())
        if moment.hour == 0 and draw.random() < BAD_DAY_CHANCE:
            bad_days.add(day)
        distance = round(draw.expovariate(1 / 40) + 1, 1)
        weight = round(draw.uniform(0.2, 30), 1)
        delay = DEPOTS[depot] + 0.4 * distance + draw.gauss(-25, 20) + (60 if day in bad_days else 0)
        rows.append(
            {
                "parcel": len(rows) + 1,
                "picked_up": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "depot": depot,
                "distance_km": distance,
                "weight_kg": weight,
                "took_minutes": round(90 + 1.5 * distance + max(delay, -60)),
                "delay_minutes": round(delay),
            }
        )
        moment += timedelta(seconds=draw.randint(300, 2400))
    return rows


def write(folder: Path) -> None:
    """One file a month."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = parcels()
    for month in sorted({str(row["picked_up"])[:7] for row in rows}):
        with (folder / f"{month}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(row for row in rows if str(row["picked_up"]).startswith(month))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
