"""Objects of Kubernetes: the protocol, a client of the API server, memory; refusals and security contexts."""
