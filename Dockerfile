# kabari in an image with nothing but itself, the libraries it is linked to, the authorities that
# HTTPS needs and time zones. deploy/compose.yml runs it, `cargo xtask dist` builds and tries it.
#
#   docker build --pull --tag kabari .

ARG RUST_IMAGE=docker.io/library/rust:1.95.0-bookworm
# The libraries are from here: Debian keeps this name up to date, and `--pull` brings its fixes.
ARG DEBIAN_IMAGE=docker.io/library/debian:bookworm-slim

FROM ${RUST_IMAGE} AS build
RUN cargo install --debug --locked --root /usr/local cargo-auditable@0.7.7
WORKDIR /src
COPY . .
RUN cargo auditable build --release --locked -p kabari --bin kabari \
    && cp target/release/kabari /usr/local/bin/

FROM ${DEBIAN_IMAGE} AS root
COPY --from=build /usr/local/bin/kabari /image/usr/bin/
COPY --from=build /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/
# The status of the packages tells scanners which libraries these are.
RUN set -eu; \
    ldd /image/usr/bin/kabari | grep -o '/[^ ]*' \
        | xargs cp --dereference --parents --target-directory /image; \
    mkdir -p /image/usr/share /image/var/lib/dpkg /data; \
    cp -r /usr/share/zoneinfo /image/usr/share/; \
    rm -rf /image/usr/share/zoneinfo/posix /image/usr/share/zoneinfo/right; \
    cp /etc/os-release /image/etc/; \
    dpkg --status libc6 libgcc-s1 tzdata > /image/var/lib/dpkg/status; \
    echo 'hosts: files dns' > /image/etc/nsswitch.conf; \
    echo 'kabari:x:65532:65532:kabari:/var/lib/kabari:/nonexistent' > /image/etc/passwd; \
    echo 'kabari:x:65532:' > /image/etc/group

FROM scratch
LABEL org.opencontainers.image.title="kabari" \
      org.opencontainers.image.description="Network notices on WhatsApp, for internet providers" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT"
COPY --from=root /image /
COPY --from=root --chown=65532:65532 /data /var/lib/kabari
# It listens on all addresses of the container, and so does not start without an API_KEY. Nothing
# is written outside the volume, so that the root file system may be read-only.
ENV PATH=/usr/bin \
    API_HOST=0.0.0.0 \
    DATA_DIR=/var/lib/kabari \
    SQLITE_TMPDIR=/var/lib/kabari \
    LOG_FORMAT=json
VOLUME /var/lib/kabari
EXPOSE 8001
USER 65532:65532
STOPSIGNAL SIGTERM
# Whether a restart may help; what a person has to look after is in /readyz.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["kabari", "status", "--alive"]
ENTRYPOINT ["kabari"]
CMD ["serve"]
