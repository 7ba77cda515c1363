"""Where bytes lie: locations, artifacts with manifests, shards with receipts."""
