"""DNS providers."""
