"""The servers that the end-to-end tests ask: real programs on loopback, and peers that misbehave on purpose."""
