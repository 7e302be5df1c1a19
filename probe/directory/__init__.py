"""The directory: an object for each resource in a place that other tools share (S17 to S19, S71 to S73)."""
