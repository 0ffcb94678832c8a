"""Define the sessions of nox.

Without arguments nox runs the first four sessions, and on CI two more. `nox -l` lists all sessions.
"""

from __future__ import annotations

import os
import shutil

import nox

nox.needs_version = ">=2025.5.1"
# uv caches packages, so that a session need not download what another session installed.
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
if os.path.exists("/etc/ssl/certs/ca-certificates.crt"):
    # Trust the certificates of the machine, as pip does.
    os.environ.setdefault("UV_SYSTEM_CERTS", "1")

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
PARALLEL = ("--numprocesses=auto", "--dist=loadfile")
EXTRAS = ",".join(PROJECT["project"]["optional-dependencies"])


def group(*names: str) -> list[str]:
    """Return the packages of dependency groups in pyproject.toml."""
    return list(nox.project.dependency_groups(PROJECT, *names))


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, spelling and layers, and build the package as for PyPI."""
    session.install(*group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("codespell")
    session.run("lint-imports", "--no-cache", "--no-logo", env={"PYTHONPATH": "src"})
    dist = session.create_tmp()
    session.run("python", "-m", "build", "--outdir", dist)
    session.run("twine", "check", "--strict", f"{dist}/*.whl", f"{dist}/*.tar.gz")


@nox.session
def typing(session: nox.Session) -> None:
    """Check the types of all code and of the examples in the documentation."""
    session.install("--editable", f".[{EXTRAS}]", *group("typing", "test", "docs", "examples"))
    session.run("mypy")
    pyright = ("basedpyright", "--pythonpath", f"{session.bin}/python")  # without it, .venv is used
    session.run(*pyright, "tests/typing")
    session.run(*pyright, "--verifytypes", "cdrkit", "--ignoreexternal")
    session.run("python", "docs/_check_examples.py")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation. A broken reference is an error."""
    session.install(f".[{EXTRAS}]", *group("docs"))
    options = ("--fresh-env", "--nitpicky", "--fail-on-warning", "--keep-going")
    session.run("sphinx-build", *options, "docs", "docs/_build/html")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests and all examples against the built wheel."""
    session.install(f".[{EXTRAS}]", *group("test"))  # installs a wheel, not src
    elsewhere = ("-m", "not s3 and not swift") if "CI" in os.environ else ()  # the session s3 runs these
    session.run("pytest", *PARALLEL, *elsewhere, *session.posargs)


@nox.session(default=False, python=PYTHONS)
def pythons(session: nox.Session) -> None:
    """Run the session `tests` with each supported Python on this machine."""
    tests(session)


@nox.session(name="property", default=False)
def properties(session: nox.Session) -> None:
    """Run the property tests with many more examples."""
    session.install(f".[{EXTRAS}]", *group("test"))
    session.run("pytest", "tests", "-m", "hypothesis", "--hypothesis-profile=thorough", *session.posargs)


@nox.session(default=False)
def crash(session: nox.Session) -> None:
    """Run all crash tests, which takes half an hour to an hour.

    They kill processes, let writes fail, fill disks, damage files and run many processes at once. The session
    `tests` runs a sample of each.
    """
    session.install(f".[{EXTRAS}]", *group("test"))
    session.run("pytest", "tests/crash", *session.posargs, env={"CDRKIT_CRASH": "full"})


@nox.session(default="CI" in os.environ)
def s3(session: nox.Session) -> None:
    """Run the tests of S3.

    They use a server in Python, and OpenStack Swift where its packages are available.
    """
    session.install(f".[{EXTRAS}]", *group("test"))
    script, folder = "tests/integration/swift.sh", session.create_tmp()
    try:
        # Status 3: this machine cannot run Swift. The script prints the reason, and the tests are skipped.
        said = session.run("bash", script, "start", folder, external=True, silent=True, success_codes=[0, 3])
        lines = [line.partition("=") for line in str(said).splitlines() if line.startswith("CDRKIT_SWIFT_")]
        if not lines:
            session.warn(f"Without Swift: {said}")
        env = {name: value for name, _, value in lines}
        session.run("pytest", "tests", "-m", "s3 or swift", *PARALLEL, *session.posargs, env=env)
    finally:
        session.run("bash", script, "stop", folder, external=True)


@nox.session(default="CI" in os.environ)
def examples(session: nox.Session) -> None:
    """Run the example notebooks and the example portals with real servers."""
    session.install(f".[{EXTRAS}]", *group("test", "examples"))
    session.run("pytest", "tests/examples", *session.posargs)


@nox.session(default=False)
def browser(session: nox.Session) -> None:
    """Test the viewer in JupyterLab and a portal with Chromium, if it is installed."""
    if shutil.which("chromium") is None:
        session.skip("chromium is not installed.")
    session.install(f".[{EXTRAS}]", *group("test", "browser"))
    session.run("pytest", "tests/browser", *session.posargs)


@nox.session(default=False)
def demo(session: nox.Session) -> None:
    """Run the demonstration from the built wheel, with the extra `cli` only."""
    session.install(".[cli]")
    session.run("cdrkit", "demo", *session.posargs)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Compare the speed of cdrkit with that of its peers. `nox -s bench -- --help` lists the options."""
    session.install(f".[{EXTRAS}]", *group("bench"))
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session(default=False)
def coverage(session: nox.Session) -> None:
    """Report the branches of src that no test runs."""
    session.install("--editable", f".[{EXTRAS}]", *group("test"), "coverage")
    session.run("coverage", "run", "-m", "pytest", *session.posargs)
    session.run("coverage", "report")
