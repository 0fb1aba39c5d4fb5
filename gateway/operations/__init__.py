"""What an operator asks and orders: why a job waits, how far behind a service is, dead jobs run again."""
