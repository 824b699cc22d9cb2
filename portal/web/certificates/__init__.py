"""Overview, certificates, uploads."""
