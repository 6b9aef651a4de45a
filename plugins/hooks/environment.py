"""A step's environment: what a worker hands on, by name. Airflow's own settings and secrets stay with Airflow."""

import os

from include.contract import settings

HANDED_ON = frozenset(
    {
        "CURL_CA_BUNDLE", "DO_NOT_TRACK", "HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LOGNAME", "PATH",
        "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE", "TMPDIR", "TZ", "USER",
        "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
    }
)  # fmt: skip
PREFIXES = ("AWS_", "LC_", "MLFLOW_", "ML_")
THREAD_VARIABLES = (
    settings.THREADS, "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT", "TOKIO_WORKER_THREADS",
)  # fmt: skip
FIXED = {"MPLBACKEND": "Agg", "PYTHONUNBUFFERED": "1"}
"""The same for every step of every installation."""


def step_environment(threads: int) -> dict[str, str]:
    """
    The whole environment of one step.

    :param threads: cap for the threads of OpenMP, BLAS and the like; more than the CPUs asked for make a busy machine
        several times slower.
    """
    kept = {name: value for name, value in os.environ.items() if name in HANDED_ON or name.startswith(PREFIXES)}
    return kept | dict.fromkeys(THREAD_VARIABLES, str(threads)) | FIXED
