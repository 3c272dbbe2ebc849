"""What the canary test runs beside the real processes: a far end that repeats keys, and code that is broken."""
