"""What cdrkit is measured by: the same calls, the same questions, and what people would use instead, in one run.

`nox -s bench` runs it; docs/explanation/benchmarks.md says how, and how to read what it prints. It uses the
public API of cdrkit only. Bottom to top: `data` makes the calls and draws the parameters, `sql` and `peers` put the
questions to each peer, `works` says what is asked and how answers are compared, `timing` measures, `tasks` are the
works that only cdrkit does, `report` shows.
"""
