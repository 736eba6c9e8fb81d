"""Databases that SQLAlchemy reaches."""
