"""Write-once documents: the protocol, a directory, S3, and memory."""
