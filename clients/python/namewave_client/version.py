"""The version of this client, which is that of the service it was made with. Nothing else."""

VERSION = "0.2.0"
