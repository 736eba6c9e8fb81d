"""Where results live: pages, the segments they are stored in, and their reading."""
