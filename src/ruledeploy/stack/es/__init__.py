"""The Elasticsearch side: documents, search, index administration, over the same store."""
