"""Rewrites a statement so that it reads only what its principal may see. Runs in sandbox workers only.

What runs is not the text of the user, but text made from a tree of known nodes: each table is replaced by a subquery
with the policy's predicate, masks and columns, and each name of a common table expression by a new one, so that whoever
resolves names otherwise than this package finds nothing instead of a table. What is not known is refused.
"""
