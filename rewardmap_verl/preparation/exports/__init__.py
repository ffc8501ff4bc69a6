"""Prepared data in the forms of other tools; verl's own form is the parquet beside the manifest."""
