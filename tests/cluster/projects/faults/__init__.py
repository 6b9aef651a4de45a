"""Parcels that misbehave: a project for tests on a cluster."""
