"""The rules of certificate hosting. Pure: no clock, no database, no environment; `now` is an argument."""
