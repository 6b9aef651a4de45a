"""Parcels: which of them will be late."""
