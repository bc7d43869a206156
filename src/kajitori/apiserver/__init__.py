"""The gateway: every read and write of the cluster passes here."""
