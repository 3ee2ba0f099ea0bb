# Three images: worker (the base install: everything except training), trainer (with TensorFlow) and
# flower (with Flower). `docker compose build` builds all of them.

ARG PYTHON=3.11

# --- runtime of all images -------------------------------------------------------------------------
FROM python:${PYTHON}-slim AS runtime
# A fixed user id, so that a mounted library can be made readable for it.
RUN groupadd --gid 10001 cratesort \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/cratesort cratesort \
    && install -d -o cratesort -g cratesort -m 0700 /var/lib/cratesort
# PYTHONDONTWRITEBYTECODE: the root file system is read-only, and the byte code is in the image.
ENV PATH=/opt/cratesort/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    CRATESORT_DATA_FOLDER=/var/lib/cratesort
WORKDIR /var/lib/cratesort
USER 10001:10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["cratesort"]
CMD ["--help"]
LABEL org.opencontainers.image.title="cratesort" \
      org.opencontainers.image.licenses="Apache-2.0"

# --- the base install ------------------------------------------------------------------------------
FROM python:${PYTHON}-slim AS base-install
WORKDIR /source
# No pip in the environment: nothing is installed into a running container.
RUN python -m venv --without-pip /opt/cratesort
ENV PIP_PYTHON=/opt/cratesort/bin/python \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_CONSTRAINT=/source/constraints.txt
# Dependencies first: the layer is reused when only the code changes.
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > base.txt \
    && pip install --quiet --no-compile --requirement base.txt \
    # Remove development parts of packages, and a second copy of ONNX Runtime for C programs.
    && cd /opt/cratesort/lib/python*/site-packages \
    && rm -rf onnxruntime/transformers onnxruntime/tools onnxruntime/quantization \
        onnxruntime/datasets onnxruntime/backend onnxruntime/capi/libonnxruntime.so.* sqlalchemy/testing numpy/f2py numpy/distutils \
    && find . -type d -name tests -prune -exec rm -rf {} + \
    && find . -name '*.pyi' -delete
COPY README.md LICENSE ./
COPY classifier classifier
COPY db db
COPY training training
COPY workers workers
COPY tasks tasks
COPY cli cli
RUN pip install --quiet --no-compile --no-deps .
# Run the main commands once. This writes the byte code of the modules that are really imported (at
# run time the file system is read-only), and the build fails if the image does not work.
RUN export PATH=/opt/cratesort/bin:$PATH CRATESORT_DATA_FOLDER=/tmp/data && cd /tmp \
    && python -c "import numpy, soundfile; soundfile.write('kick.wav', numpy.ones(441), 44100)" \
    && cratesort ingest kick.wav && cratesort status && cratesort doctor \
    && python -c "import celery.apps.beat, celery.apps.worker, celery.bin.beat, celery.bin.worker, \
        celery.concurrency.prefork, celery.worker.consumer, kombu.transport.redis, \
        sqlalchemy.dialects.postgresql.psycopg, tasks.classify, tasks.sweep, tasks.inbox.consumer, \
        tasks.retrain, workers.recovery.bootsteps, workers.recovery.supervisor" \
    && rm -rf /tmp/data kick.wav

FROM base-install AS training-install
RUN pip install --quiet '.[training]'

FROM base-install AS flower-install
RUN pip install --quiet '.[monitoring]'

# --- the images ------------------------------------------------------------------------------------
FROM runtime AS trainer
COPY --from=training-install /opt/cratesort /opt/cratesort
CMD ["worker", "--queues", "training"]

# A separate image: Flower needs no TensorFlow, and workers need no Flower.
FROM runtime AS flower
COPY --from=flower-install /opt/cratesort /opt/cratesort
CMD ["flower", "--address", "0.0.0.0"]

# The last stage is the one that `docker build .` builds.
FROM runtime AS worker
COPY --from=base-install /opt/cratesort /opt/cratesort
# On a busy host the first check may take long; a successful one ends the start period.
HEALTHCHECK --interval=30s --timeout=30s --start-period=180s CMD ["cratesort", "health"]
CMD ["worker"]
