"""queryengine: runs SQL for other services over gRPC and pushes states and result pages."""

__version__ = "0.1.0"
