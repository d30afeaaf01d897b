"""Evidence bundles as files: the archive, the report in it, and small copies of pictures."""
