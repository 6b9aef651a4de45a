# One file, four images: airflow (the bundle), step, serving, mlflow. 'make images' builds and pushes them.
#
# Each runs as a user without rights and on a read-only root file system, given room at /tmp (and, for airflow, at
# /opt/airflow); the user's name is in the environment, for Airflow refuses a user who has none. Libraries come by hash
# from the lock files and are byte-compiled; no compiler, pip or uv is left.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS installer
# The index to install from, where it is not PyPI itself.
ARG PIP_INDEX_URL
ARG UV_DEFAULT_INDEX
ENV UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never PYC_INVALIDATION_MODE=UNCHECKED_HASH
WORKDIR /build
COPY local_platform/uv.txt uv.txt
RUN python3 -m venv installer \
    && installer/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-deps \
       --require-hashes --only-binary=:all: -r uv.txt

FROM installer AS step-libraries
COPY include/requirements.txt requirements.txt
RUN installer/bin/uv venv --quiet --python python3 --no-project /opt/venv \
    && installer/bin/uv pip sync --quiet --python /opt/venv/bin/python --require-hashes --compile-bytecode requirements.txt

FROM installer AS airflow-libraries
COPY requirements.txt requirements.txt
RUN installer/bin/uv venv --quiet --python python3 --no-project /opt/venv \
    && installer/bin/uv pip sync --quiet --python /opt/venv/bin/python --require-hashes --compile-bytecode requirements.txt

FROM ${BASE} AS runtime
RUN rm -rf /usr/bin/pip* /usr/local/bin/pip* /usr/lib/python3/dist-packages/pip* /usr/lib/python3*/ensurepip \
    /usr/local/lib/python3*/site-packages/pip* /usr/local/lib/python3*/ensurepip
ENV PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONUNBUFFERED=1 HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib

# The steps, with the libraries that they share with serving and MLflow.
FROM runtime AS step
COPY --from=step-libraries /opt/venv /opt/venv
WORKDIR /app
COPY include include
RUN python -m compileall -q --invalidation-mode unchecked-hash include
ENV PYTHONPATH=/app USER=ml-platform
USER 65532:65532
ENTRYPOINT ["python", "-m", "include.steps"]

# Answers predictions of the bundle that is mounted at /model; the image stays the same from model to model.
FROM step AS serving
EXPOSE 8080
ENTRYPOINT ["python", "-m", "include.serving"]
CMD ["--bundle", "/model", "--host", "0.0.0.0", "--port", "8080"]

FROM runtime AS mlflow
COPY --from=step-libraries /opt/venv /opt/venv
WORKDIR /tmp
ENV USER=ml-platform
EXPOSE 5000
USER 65532:65532
ENTRYPOINT ["mlflow", "server"]

# The bundle lies outside AIRFLOW_HOME, and PYTHONPATH stays unset: it would outrank a versioned copy of the bundle.
FROM runtime AS airflow
COPY --from=airflow-libraries /opt/venv /opt/venv
ENV AIRFLOW_HOME=/opt/airflow HOME=/opt/airflow USER=airflow \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/ml-platform/plugins \
    AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST="[{\"name\": \"ml-platform\", \"classpath\": \"airflow.dag_processing.bundles.local.LocalDagBundle\", \"kwargs\": {\"path\": \"/opt/ml-platform\"}}]"
WORKDIR /opt/ml-platform
COPY .airflowignore .airflowignore
COPY include include
COPY plugins plugins
COPY dags dags
RUN python -m compileall -q --invalidation-mode unchecked-hash include plugins dags \
    && mkdir -p /opt/airflow && chown 50000:0 /opt/airflow && chmod g=u /opt/airflow
USER 50000:0
