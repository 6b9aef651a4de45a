"""Tables of partitions: the protocol, Delta Lake, and memory."""
