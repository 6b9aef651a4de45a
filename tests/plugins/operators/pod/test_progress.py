import json

from plugins.operators.pod.log import Cursor
from plugins.operators.pod.progress import LONGEST_SECONDS, Progress


def test_what_is_remembered_survives_airflows_database() -> None:
    known = Progress(
        since=1.5, pod="p", has_started=True, looks=3, away_since=2.5, told="no room", cursor=Cursor("ab", 9.5)
    )
    assert Progress.from_json(json.loads(json.dumps(known.to_json()))) == known


def test_a_task_sleeps_longer_each_time_up_to_a_limit() -> None:
    progress, slept = Progress(since=0.0), []
    for _ in range(30):
        slept.append(progress.sleep_seconds())
        progress = progress.looked()
    assert slept[:2] == [10.0, 20.0]
    assert slept == sorted(slept)
    assert slept[-1] == LONGEST_SECONDS
