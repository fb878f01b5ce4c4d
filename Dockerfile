ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_NO_INPUT=1
RUN ["python", "-m", "venv", "/opt/promptlooper"]
ENV PATH=/opt/promptlooper/bin:$PATH
WORKDIR /source
# Before the code: this layer changes only with the lock.
COPY requirements.lock ./
RUN ["pip", "install", "--require-hashes", "--requirement", "requirements.lock"]
COPY LICENSE README.md pyproject.toml setup.cfg ./
COPY formats formats
COPY migrations migrations
COPY service service
# The build tools are locked as well, and not needed afterwards. Compile bytecode here, since
# the service's user may not write it; this halves the start-up time.
RUN pip install --no-build-isolation --no-deps . \
    && pip uninstall --yes setuptools pip \
    && python -m compileall -q /opt/promptlooper/lib

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="promptlooper-export" \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --system --gid 10001 promptlooper \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /data promptlooper \
    && install --directory --owner=10001 --group=10001 /data
COPY --from=build /opt/promptlooper /opt/promptlooper
ENV PATH=/opt/promptlooper/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PROMPTLOOPER_BIND=0.0.0.0:8000 \
    PROMPTLOOPER_LOG_FORMAT=json
# The default database, promptlooper.db, is here: mount a volume, or set another one.
WORKDIR /data
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["python", "-c", "\
from http.client import HTTPConnection as Connection; \
connection = Connection('127.0.0.1', 8000, timeout=2); \
connection.request('GET', '/health/live'); \
raise SystemExit(connection.getresponse().status != 200)"]
CMD ["promptlooper-export", "serve"]
