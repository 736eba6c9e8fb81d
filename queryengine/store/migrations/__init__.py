"""The history of the schema. The store applies it when it opens a file; nobody runs it by hand."""
