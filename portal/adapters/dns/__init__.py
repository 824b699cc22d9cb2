"""DNS providers: writing the TXT records of dns-01."""
