"""Benchmarks: what verification costs beside what it is measured against. `make bench` runs them all.

One file for each measurement, each with `LETTER`, `TITLE`, `measure(scale)`, which gives plain data for the
JSON, and `table(found)`, which shows that data. Whatever stands in a ratio was measured in turns in the same
run, so that a machine that is busy or slow is so for both.
"""
