"""What engine adapters share. Nothing here imports an adapter or a driver."""
