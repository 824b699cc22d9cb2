"""Domain validation: how names are proved, how they stand, the DNS credentials for it."""
