"""Query languages and exception items, read into one boolean IR.

A reader's way in: `ir` (what a query is), `parse` (language name to IR), then one module per
language. `terms` and `meaning` say what a leaf asks of a field once its type is known.
"""
