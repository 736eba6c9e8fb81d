"""What a decision point outside of the service says of a query."""
