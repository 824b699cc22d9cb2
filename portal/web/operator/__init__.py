"""运维: what operators see and do."""
