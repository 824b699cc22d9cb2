"""Cloud products that serve certificates."""
