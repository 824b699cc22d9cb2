"""Certificates: overview, list, upload, one certificate."""
