"""Generated from protos/queryengine/v1 by `make generate`; never edited."""
