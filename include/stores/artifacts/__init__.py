"""Models as OCI artifacts in an artifact registry: the protocol, OCI over HTTP, and memory."""
