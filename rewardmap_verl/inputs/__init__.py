"""Reading files from outside at a bounded cost: checks of a file, parquet, JSON and YAML."""
