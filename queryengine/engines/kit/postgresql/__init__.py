"""What a statement and a role of PostgreSQL may reach, for every adapter that reads one, whichever driver it has."""
