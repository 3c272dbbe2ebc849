"""Everything dies, again and again, and the books still balance: `python -m tests.chaos --help`."""
