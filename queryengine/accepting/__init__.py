"""What may be done with queries: submit, look, cancel, release, list; every edge calls these."""
