# Three images of one file: worker (the base install, which does everything but train), trainer
# (with TensorFlow), flower (with Flower). `docker compose build` makes them all.

ARG PYTHON=3.11

# --- what all of them run on -----------------------------------------------------------------------
FROM python:${PYTHON}-slim AS runtime
# A fixed number: who mounts a library read-only must know who reads it.
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
# Without pip in it: nothing is installed into a running container.
RUN python -m venv --without-pip /opt/cratesort
ENV PIP_PYTHON=/opt/cratesort/bin/python \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_CONSTRAINT=/source/constraints.txt
# What it depends on first: a change of the code does not download it again.
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > base.txt \
    && pip install --quiet --no-compile --requirement base.txt \
    # Parts of packages that are for those who develop with them, and ONNX Runtime a second time,
    # for programs in C.
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
# Once through all of it: this writes the byte code of what is really imported, and
# not of all that could be, for at run time nothing can be written; and an image that does not work is not made.
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

# Of its own: who watches needs no TensorFlow, and who works needs no Flower.
FROM runtime AS flower
COPY --from=flower-install /opt/cratesort /opt/cratesort
CMD ["flower", "--address", "0.0.0.0"]

# The last one is what `docker build .` makes.
FROM runtime AS worker
COPY --from=base-install /opt/cratesort /opt/cratesort
# On a busy host the first answer may take long; a good one ends the start period.
HEALTHCHECK --interval=30s --timeout=30s --start-period=180s CMD ["cratesort", "health"]
CMD ["worker"]
