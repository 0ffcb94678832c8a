"""Sessions of nox. Without arguments the first four run, in this order; on CI some more. `nox -l` lists all."""

from __future__ import annotations

import os
import shutil

import nox

nox.needs_version = ">=2025.5.1"
# Where uv is, what one session has installed costs the next nothing.
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
if os.path.exists("/etc/ssl/certs/ca-certificates.crt"):
    # uv trusts whom the machine trusts, as pip does.
    os.environ.setdefault("UV_SYSTEM_CERTS", "1")

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
PARALLEL = ("--numprocesses=auto", "--dist=loadfile")
EXTRAS = ",".join(PROJECT["project"]["optional-dependencies"])


def group(*names: str) -> list[str]:
    """Return what the dependency groups of pyproject.toml name."""
    return list(nox.project.dependency_groups(PROJECT, *names))


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, spelling, layers, and that the package can be built and published."""
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
    """Check types everywhere, and that every public name has one."""
    session.install("--editable", f".[{EXTRAS}]", *group("typing", "test", "docs"))
    session.run("mypy")
    pyright = ("basedpyright", "--pythonpath", f"{session.bin}/python")  # it would take .venv
    session.run(*pyright, "tests/typing")
    session.run(*pyright, "--verifytypes", "cdrkit", "--ignoreexternal")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a broken reference fails. Its examples run with the tests."""
    session.install(f".[{EXTRAS}]", *group("docs"))
    options = ("--fresh-env", "--nitpicky", "--fail-on-warning", "--keep-going")
    session.run("sphinx-build", *options, "docs", "docs/_build/html")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests, and every example of README, documentation and docstrings, against the built wheel."""
    session.install(f".[{EXTRAS}]", *group("test"))  # pip builds the wheel and installs that, not src
    elsewhere = ("-m", "not s3 and not swift") if "CI" in os.environ else ()  # where the session s3 runs, too
    session.run("pytest", *PARALLEL, *elsewhere, *session.posargs)


@nox.session(default=False, python=PYTHONS)
def pythons(session: nox.Session) -> None:
    """Do the same on every Python that is supported and found."""
    tests(session)


@nox.session(name="property", default=False)
def properties(session: nox.Session) -> None:
    """Run the property tests with many more examples."""
    session.install(f".[{EXTRAS}]", *group("test"))
    session.run("pytest", "tests", "-m", "hypothesis", "--hypothesis-profile=thorough", *session.posargs)


@nox.session(default=False)
def crash(session: nox.Session) -> None:
    """Kill, fail, fill, damage and crowd stores in full, which takes half an hour; `tests` does a sample of each."""
    session.install(f".[{EXTRAS}]", *group("test"))
    session.run("pytest", "tests/crash", *session.posargs, env={"CDRKIT_CRASH": "full"})


@nox.session(default="CI" in os.environ)
def s3(session: nox.Session) -> None:
    """Run the tests that talk to S3: to a server in Python, and to OpenStack Swift where its packages can be had."""
    session.install(f".[{EXTRAS}]", *group("test"))
    script, folder = "tests/integration/swift.sh", session.create_tmp()
    try:
        # Status 3: not on this machine; the script has said why, and its tests are skipped.
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
    """Run the example notebooks, and the example portals behind real servers."""
    session.install(f".[{EXTRAS}]", *group("test", "examples"))
    session.run("pytest", "tests/examples", *session.posargs)


@nox.session(default=False)
def browser(session: nox.Session) -> None:
    """Use the viewer in JupyterLab, and a portal, with Debian's package chromium; without it, skip."""
    if shutil.which("chromium") is None:
        session.skip("There is no chromium on this machine.")
    session.install(f".[{EXTRAS}]", *group("test", "browser"))
    session.run("pytest", "tests/browser", *session.posargs)


@nox.session(default=False)
def demo(session: nox.Session) -> None:
    """Run the demonstration from the built wheel, with what its users install and nothing else."""
    session.install(".[cli]")
    session.run("cdrkit", "demo", *session.posargs)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure cdrkit beside its peers, in one run; `nox -s bench -- --help` lists the options."""
    session.install(f".[{EXTRAS}]", *group("bench"))
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session(default=False)
def coverage(session: nox.Session) -> None:
    """Report the branches of src that no test takes."""
    session.install("--editable", f".[{EXTRAS}]", *group("test"), "coverage")
    session.run("coverage", "run", "-m", "pytest", *session.posargs)
    session.run("coverage", "report")
