"""A task's log that a test reads."""

import logging
import time


class TaskLog:
    """Stands for the logger of a task; keeps what is written."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, str]] = []
        """Level and text of each line."""
        self.moments: list[float] = []
        """When each line came, on the monotonic clock."""

    def log(self, level: int, event: str) -> None:
        self.lines.append((level, event))
        self.moments.append(time.monotonic())

    def info(self, event: str, *values: object) -> None:
        self.log(logging.INFO, event % values)

    def warning(self, event: str, *values: object) -> None:
        if "outside of the Task Runner" not in event:  # Airflow's, about tests
            self.log(logging.WARNING, event % values)

    def debug(self, event: str, *values: object) -> None:
        """Nobody reads it."""

    @property
    def texts(self) -> list[str]:
        return [text for _, text in self.lines]

    def texts_at(self, level: int) -> list[str]:
        return [text for one, text in self.lines if one == level]
