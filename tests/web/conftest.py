"""Pages are tried on both databases, as everything is (`-k sqlite` for one of them)."""
