"""Benchmarks that compare cdrkit with its alternatives, called peers, in one run.

`nox -s bench` runs them. docs/explanation/benchmarks.md describes the options and the report. They use only the public
API of cdrkit. The modules, from the lowest layer up:

- `data` generates the calls and chooses the parameters;
- `sql` and `peers` run the queries with each peer;
- `workloads` defines the tasks, and compares results;
- `measurement` measures times and memory;
- `tasks` has the tasks that only cdrkit does;
- `report` writes the report.
"""
