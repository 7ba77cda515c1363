"""The curate job's walks over the shards."""
