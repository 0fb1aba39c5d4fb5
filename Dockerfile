# One recipe for all images: `docker build --build-arg SERVICE=email -t trunkline-email .`
# SERVICE is an extra of pyproject.toml: gateway, email, inventory, file, report, scheduler, monitor, inbox.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
ARG UV_VERSION=0.13.9
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore "uv==${UV_VERSION}"
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
WORKDIR /src

# Libraries first: they change less often than our code. What is not in the lock, or differs from its hash, ends the build.
COPY pyproject.toml requirements.lock ./
ARG SERVICE
RUN --mount=type=cache,target=/root/.cache/uv \
    test -n "${SERVICE}" || { echo "give --build-arg SERVICE=gateway, email, ..." >&2; exit 1; }; \
    uv venv --quiet /app \
    && uv pip install --quiet --python /app/bin/python --require-hashes \
        --requirements pyproject.toml --extra "${SERVICE}" --constraints requirements.lock \
    && find /app -type d \( -name tests -o -name test \) -path '*/site-packages/*' -prune -exec rm -rf {} +

COPY . .
RUN --mount=type=cache,target=/root/.cache/uv \
    uv build --quiet --wheel --build-constraints requirements.lock --require-hashes --out-dir /wheel \
    && uv pip install --quiet --python /app/bin/python --no-deps /wheel/*.whl \
    && install -m 0755 deploy/image/healthy /app/bin/healthy \
    && sh deploy/image/command.sh "${SERVICE}" > /app/bin/serve \
    && chmod 0755 /app/bin/serve

FROM ${PYTHON_IMAGE}
ARG SERVICE
# libmagic tells what a file is; only the file service looks.
RUN if [ "${SERVICE}" = file ]; then \
        apt-get update -qq \
        && apt-get install -qq --yes --no-install-recommends libmagic1 \
        && rm -rf /var/lib/apt/lists/*; \
    fi \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin trunkline \
    && install -d -o trunkline -g trunkline /data /data/files /data/monitor /data/mail /data/scratch
COPY --from=build /app /app

# In a container, and nowhere else, a process may listen on every address. All answer on port 8000.
ENV PATH=/app/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    LOG_FORMAT=json \
    GATEWAY_HOST=0.0.0.0 \
    MONITOR_HOST=0.0.0.0 \
    METRICS_HOST=0.0.0.0 \
    PORT=8000 \
    METRICS_PORT=8000 \
    FILES_URL=file:///data/files \
    MONITOR_DATA=/data/monitor
WORKDIR /data
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s --retries=3 CMD ["healthy"]
CMD ["serve"]
LABEL org.opencontainers.image.title="trunkline-${SERVICE}" \
      org.opencontainers.image.licenses="Apache-2.0"
