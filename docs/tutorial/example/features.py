"""Features of a parcel, seen when it is picked up."""

import numpy as np
import pandas as pd

LATE_MINUTES = 30
WINDOW = pd.Timedelta(hours=12)


def build_features(frame: pd.DataFrame) -> pd.DataFrame:
    """
    Turn parcels into features known when each is picked up.

    :param frame: one row a parcel: the source's columns and its times; what is not known yet is null.
    :return: the key and the features of the spec, one row a parcel in the same order.
    """
    features = frame[["parcel", "depot", "distance_km", "weight_kg"]].copy()
    features["hour"] = frame["picked_up"].dt.hour.astype("int64")
    features["depot_late_share_12h"] = np.nan
    for _, parcels in frame.groupby("depot"):
        features.loc[parcels.index, "depot_late_share_12h"] = _late_share(parcels)
    return features


def _late_share(parcels: pd.DataFrame) -> np.ndarray:
    """Share of late ones among those that arrived in the window before each pick-up; nothing where none did."""
    arrived = parcels.dropna(subset=["arrived", "delay_minutes"]).sort_values("arrived")
    late = np.concatenate([[0], np.cumsum(arrived["delay_minutes"] >= LATE_MINUTES)])
    until = arrived["arrived"].searchsorted(parcels["picked_up"], side="right")
    since = arrived["arrived"].searchsorted(parcels["picked_up"] - WINDOW, side="right")
    count = until - since
    return np.where(count > 0, (late[until] - late[since]) / np.maximum(count, 1), np.nan)
