# The image of every VibeBox process. Its default command is the web server; `vibebox migrate`
# prepares the database. See docs/operations.md, "Docker image".

# --- builder: makes a virtual environment; nothing else of this stage is kept ----------------------
FROM python:3.11-slim-bookworm AS builder

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/vibebox
WORKDIR /build

# Dependencies first, from the lock file and an empty package: a change of the code keeps this layer.
COPY setup.cfg pyproject.toml constraints.txt README.md ./
COPY app/__init__.py app/_version.py app/
COPY prefork_metrics prefork_metrics
RUN /opt/vibebox/bin/pip install -c constraints.txt ./prefork_metrics '.[otel,redis]'
RUN python -m venv /opt/sbom && /opt/sbom/bin/pip install -c constraints.txt cyclonedx-bom

# setup.py takes the other files into the package.
COPY setup.py Procfile gunicorn.conf.py ./
COPY deploy deploy
COPY monitoring monitoring
COPY app app
RUN /opt/vibebox/bin/pip install --no-deps --force-reinstall . \
    && /opt/vibebox/bin/pip uninstall --yes pip setuptools

# The list of the Python packages in the image; what writes it is not among them.
COPY scripts/image-sbom ./
RUN /opt/sbom/bin/python image-sbom /opt/vibebox sbom.cdx.json

# --- the image -------------------------------------------------------------------------------------
FROM python:3.11-slim-bookworm

# A fixed uid, so that the owner of volumes and of files on the host can be planned. It may write
# two places only: the embedded database, and the directory of the metrics.
RUN groupadd --gid 10001 vibebox \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/vibebox \
        --shell /usr/sbin/nologin vibebox \
    && install -d -m 0750 -o vibebox -g vibebox /var/lib/vibebox /run/vibebox

COPY --from=builder /opt/vibebox /opt/vibebox
COPY --from=builder /build/sbom.cdx.json /usr/share/doc/vibebox/sbom.cdx.json
WORKDIR /srv/vibebox
COPY gunicorn.conf.py Procfile ./

ENV PATH=/opt/vibebox/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=3000 \
    DATABASE_URL=sqlite:////var/lib/vibebox/vibebox.db \
    PROMETHEUS_MULTIPROC_DIR=/run/vibebox/metrics

USER 10001:10001
EXPOSE 3000

# Liveness, not readiness: to restart VibeBox would not mend a database or a Docker Engine that is
# down. An HTTP proxy of the environment must not come between.
HEALTHCHECK --interval=15s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.build_opener(u.ProxyHandler({})).open(f\"http://127.0.0.1:{os.environ.get('PORT') or 3000}/health/live\", timeout=2)"]

# gunicorn is process 1 and gets the signal itself: it takes no new connection and gives the
# accepted requests VIBEBOX_GRACEFUL_TIMEOUT seconds. Let Docker wait longer than that
# (docker stop --time, docker run --stop-timeout); its default is 10 seconds.
STOPSIGNAL SIGTERM
CMD ["gunicorn", "-c", "gunicorn.conf.py", "app.wsgi:app"]

# What this is, by build arguments (`make image`, `make up`); last, since they change most often. Where
# the source can be read only who publishes the image knows: make image IMAGE_SOURCE=https://…
ARG VERSION=""
ARG REVISION=""
ARG CREATED=""
LABEL org.opencontainers.image.title="VibeBox" \
    org.opencontainers.image.description="Development environments in Docker containers, with observability you can trust" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION" \
    org.opencontainers.image.created="$CREATED"
