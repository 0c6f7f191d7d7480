"""Side-by-side measurements: every claim of speed of this project comes from here.

    python -m tests.benchmarks                      all of them, some minutes
    python -m tests.benchmarks --quick              small sizes, to see that everything runs
    python -m tests.benchmarks ranks kmeans --out ratios.json

One file a benchmark, with one function `measure`. Ours and its peers run in the same process, in
turns (timing.py), and give the same result, which is checked. `make bench`
runs them in `.venv-bench`, where the peers of requirements.txt are; one that cannot be imported is
left out with a line that says so. Not collected by pytest.
"""
