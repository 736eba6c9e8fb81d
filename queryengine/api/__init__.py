"""The gRPC edge: servicer, conversions, errors, health."""
