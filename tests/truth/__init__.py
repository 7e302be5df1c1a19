"""The table of misbehaving servers: what each does, the verdict it must get, and what other checkers say of it."""
