"""
Name, labels and annotations of an attempt's pod.

The name is computed from the attempt alone, so that the API server refuses a second pod of the same attempt. Labels are
what pods are selected by; their values are restricted to 63 safe characters. Annotations hold the rest exactly, such as
the run's id.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PREFIX = "ml-platform.org/"
MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "ml-platform"
PROJECT = f"{PREFIX}project"
STEP = f"{PREFIX}step"
TASK = f"{PREFIX}task"
"""Label: the part of the name that all attempts of a task share."""
DAG_ID = f"{PREFIX}dag-id"
RUN_ID = f"{PREFIX}run-id"
TASK_ID = f"{PREFIX}task-id"
MAP_INDEX = f"{PREFIX}map-index"
TRY_NUMBER = f"{PREFIX}try-number"
SUBJECT = f"{PREFIX}subject"
"""Annotation: what the step works on, ``2013-03/weather``."""
TASK_INSTANCE = f"{PREFIX}task-instance"
"""Annotation: Airflow's own id of the attempt; a run that was deleted and made again has another."""
SPEC = f"{PREFIX}spec"
"""Annotation: digest of the pod's spec as it was requested."""

SELECTOR = f"{MANAGED_BY}={MANAGER},{TASK}"
"""Selects the pods of steps, whatever their task."""
# Project, step, digest and attempt fit into 63 characters: Kubernetes cuts a longer name to make the pod's host name.
_WORD_AT_MOST = 20
_DIGEST_CHARACTERS = 12
_UNSAFE = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, kw_only=True)
class PodIdentity:
    """One attempt of one task, as Airflow names it."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    task_instance: str
    """Airflow's id of the attempt."""
    project: str
    step: str
    subject: str

    @property
    def stem(self) -> str:
        """``flights-train-0123456789ab``: shared by all attempts of the task."""
        names = "\0".join([self.dag_id, self.run_id, self.task_id, str(self.map_index)])
        digest = hashlib.sha256(names.encode()).hexdigest()[:_DIGEST_CHARACTERS]
        return f"{_word(self.project)}-{_word(self.step)}-{digest}"

    @property
    def pod(self) -> str:
        """The pod's name; valid as a host name, too."""
        return f"{self.stem}-{self.try_number}"

    def labels(self) -> dict[str, str]:
        """The pod's labels, by which it is selected."""
        named = {PROJECT: self.project, STEP: self.step, TASK: self.stem}
        return {MANAGED_BY: MANAGER, **named}

    def annotations(self) -> dict[str, str]:
        """The pod's annotations: the attempt that it works for."""
        return {
            DAG_ID: self.dag_id,
            RUN_ID: self.run_id,
            TASK_ID: self.task_id,
            MAP_INDEX: str(self.map_index),
            TRY_NUMBER: str(self.try_number),
            SUBJECT: self.subject,
            TASK_INSTANCE: self.task_instance,
        }


def attempt_number(pod: str) -> int:
    """Number of the attempt in a pod's name; 0 for a name that has none."""
    number = pod.rpartition("-")[2]
    return int(number) if number.isdecimal() else 0


def age_key(pod: Any) -> tuple[str, int]:
    """
    Orders the pods of one task by the time at which Airflow began their attempts.

    Neither the attempt's number nor the pod's age would do: a run that was deleted and made again begins with attempt
    1, and a launcher that was held up makes its pod after its successor's. Airflow's ids of attempts are UUIDs of
    version 7, which sort by time.
    """
    return (pod.metadata.annotations or {}).get(TASK_INSTANCE, ""), attempt_number(pod.metadata.name)


def is_same_attempt(wanted: Mapping[str, str], existing: Mapping[str, str] | None) -> bool:
    """
    Whether two pods were created for the same attempt with the same spec.

    :param wanted: annotations of the pod that is to be created.
    :param existing: those of the pod that has its name.
    """
    there = existing or {}
    return all(there.get(name) == wanted[name] for name in (TASK_INSTANCE, TRY_NUMBER, RUN_ID, SPEC))


def _word(name: str) -> str:
    return _UNSAFE.sub("-", name.lower())[:_WORD_AT_MOST].strip("-")
