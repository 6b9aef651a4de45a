"""Counters, gauges and timings for operators: the protocol, StatsD, and one that keeps what it was given."""
