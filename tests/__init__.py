"""The tests mirror portal/ and jobs/; beside them: whole stories (stories/), the rules of the house (house/)."""
