"""Departure delays from the airports of New York: which flights will leave 15 minutes late or more."""
