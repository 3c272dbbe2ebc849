FROM python:3.11-slim-bookworm AS packages
COPY requirements.txt .
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.txt

FROM python:3.11-slim-bookworm
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ffmpeg tini \
    && rm -rf /var/lib/apt/lists/*
# A new named volume takes over the owner of the folder that it covers.
RUN useradd --uid 10001 --no-create-home --home-dir /tmp cineflow \
    && install --directory --owner cineflow --group cineflow --mode 0750 /data
COPY --from=packages /venv /venv
WORKDIR /app
COPY . .
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 CINEFLOW_DATA_DIR=/data
# The root file system is read-only later, so byte code is written now.
RUN python -m compileall -q .
USER cineflow
VOLUME /data
EXPOSE 8000
ENTRYPOINT ["tini", "--"]
CMD ["gunicorn", "--config", "python:cineflow.gunicorn", "cineflow.wsgi"]
