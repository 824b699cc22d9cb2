"""The tests: they mirror portal/ and jobs/; beside them whole stories (stories/) and the rules of the house (house/)."""
