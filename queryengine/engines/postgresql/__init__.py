"""PostgreSQL: rows by ADBC."""
