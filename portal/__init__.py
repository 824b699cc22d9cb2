"""Perennial (常青): TLS certificates that keep themselves alive."""
