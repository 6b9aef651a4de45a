"""Features of parcels, and the fault that the rows of a day request."""

import subprocess
import sys
import time

import pandas as pd

MIB = 1 << 20
_done: list[str] = []
"""What was done in this process: the function is called several times, and misbehaves in the first of them alone."""


def build_features(frame: pd.DataFrame) -> pd.DataFrame:
    """
    Weigh each parcel, after the fault that the day requests.

    :param frame: one row a parcel; all have the same ``behaviour``: nothing, or a word and a number.
    """
    if not _done:
        behaviour = str(frame["behaviour"].iloc[0])
        _done.append(behaviour)
        _misbehave(*behaviour.partition(" ")[::2])
    return pd.DataFrame(
        {"number": frame["number"], "weight": frame["weight"], "heavy": (frame["weight"] > 5.0).astype("int64")}
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _misbehave(word: str, number: str) -> None:
    if word == "well":
        return
    _say(f"faults: {word} {number} begins")
    if word == "sleep":
        time.sleep(float(number))
    elif word == "talk":
        for second in range(int(number)):
            _say(f"faults: line {second}")
            time.sleep(1.0)
    elif word == "allocate":
        _done.append(str(len(bytearray(int(number) * MIB))))  # a bytearray is zeroed, so every page is there
    elif word == "spawn":
        subprocess.Popen(["sleep", number], start_new_session=True)
    elif word == "raise":
        raise ValueError(number)
    else:
        message = f"Nobody knows how to '{word}'."
        raise ValueError(message)
    _say(f"faults: {word} {number} ends")
