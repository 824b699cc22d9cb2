"""Running everything on one machine: a Redis of our own, and the processes of the Procfile."""
