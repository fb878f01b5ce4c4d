# The index of all platforms, as it was on 2026-09-19. Newer ones:
# docker buildx imagetools inspect python:3.11-slim-bookworm
ARG PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

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
# Asks where the service listens, if possible where health checks have threads of their
# own: HOST:PORT, [HOST]:PORT or unix:PATH.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["python", "-c", "\
import os, socket; \
from http.client import HTTPConnection; \
bind = os.environ.get('PROMPTLOOPER_ADMIN_BIND') or os.environ['PROMPTLOOPER_BIND']; \
host, _, port = bind.rpartition(':'); \
kind = 'AF_UNIX' if host == 'unix' else 'AF_INET6' if host[:1] == '[' else 'AF_INET'; \
connection = HTTPConnection('localhost'); \
connection.sock = socket.socket(getattr(socket, kind)); \
connection.sock.settimeout(2); \
connection.sock.connect(port if host == 'unix' else (host.strip('[]'), int(port))); \
connection.request('GET', '/health/live'); \
raise SystemExit(connection.getresponse().status != 200)"]
# docker run IMAGE doctor
ENTRYPOINT ["promptlooper-export"]
CMD ["serve"]
