"""What an earlier run has found out, kept: cells, plans and proofs, under keys of all that they hang on."""
