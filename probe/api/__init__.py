"""The outside over HTTP: what others can read of us and ask of us."""
