"""A step's environment: an allow-list of the worker's variables. Airflow's own settings and secrets are not on it."""

import os

from include.contract import settings

# Proxies in both spellings: libraries differ in which of the two they read.
HANDED_ON = frozenset(
    {
        "CURL_CA_BUNDLE", "DO_NOT_TRACK", "HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LOGNAME", "PATH",
        "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE", "TMPDIR", "TZ", "USER",
        "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
    }
)  # fmt: skip
PREFIXES = ("AWS_", "LC_", "MLFLOW_", "ML_")
# Each library reads its own, when it is imported: OpenMP, OpenBLAS, MKL, numexpr, joblib, and Tokio (Delta Lake).
THREAD_VARIABLES = (
    settings.THREADS, "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT", "TOKIO_WORKER_THREADS",
)  # fmt: skip
FIXED = {"MPLBACKEND": "Agg", "PYTHONUNBUFFERED": "1"}
"""The same for every step of every installation."""


def step_environment(threads: int) -> dict[str, str]:
    """
    The whole environment of one step.

    :param threads: how many threads OpenMP, BLAS and the like may start, at least 1; more than the requested CPUs make
        a busy machine several times slower.
    :return: all variables; the process gets no others.
    """
    kept = {name: value for name, value in os.environ.items() if name in HANDED_ON or name.startswith(PREFIXES)}
    return kept | dict.fromkeys(THREAD_VARIABLES, str(threads)) | FIXED
