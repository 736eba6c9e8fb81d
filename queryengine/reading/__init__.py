"""What a reader is sent: streams of pages and states, single pages, the index of a result."""
