"""What a developer of queryengine runs, and no user."""
