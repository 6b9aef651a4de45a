"""Model servers: the protocol, the local supervisor, Kubernetes, and memory."""
