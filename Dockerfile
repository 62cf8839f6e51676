# Tollgate's image: one for every role. The command says which (see Procfile and docs/production.md).

FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/tollgate
COPY requirements/production.txt /tmp/production.txt
# Only what the lock file names, and only with the hashes it names.
RUN /opt/tollgate/bin/pip install --require-hashes --requirement /tmp/production.txt

FROM python:3.13-slim
ENV PATH=/opt/tollgate/bin:$PATH PYTHONUNBUFFERED=1 DATA_DIR=/var/lib/tollgate HOST=0.0.0.0 PORT=8000
RUN useradd --system --uid 10001 --home-dir /var/lib/tollgate --create-home tollgate
COPY --from=build /opt/tollgate /opt/tollgate
WORKDIR /srv/tollgate
COPY manage.py pyproject.toml LICENSE ./
COPY config config
COPY apps apps
COPY locale locale
COPY static static
COPY templates templates
# Needs no keys and no database. Compiling ahead makes starts faster, and the user below may not write here.
RUN python manage.py collectstatic --noinput --verbosity 0 && python -m compileall -q apps config

USER tollgate
# The spool lies here: records that PostgreSQL does not have yet. It must outlive the container.
VOLUME /var/lib/tollgate
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/healthz', timeout=4)"]
# Docker stops with SIGTERM and kills after 10 s unless told otherwise: give it more than DRAIN_TIMEOUT (docs/production.md).
CMD ["python", "manage.py", "serve"]
