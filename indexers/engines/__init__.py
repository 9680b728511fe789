"""Where and how the stages of ingestion run."""
