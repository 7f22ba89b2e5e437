"""Reading finished runs: records, tables, plots."""
