"""Background work: functions of a few lines that name a service and pass it ids."""
