# syntax=docker/dockerfile:1

# Both stages use the same Debian release: the binary needs the glibc that it was linked with.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# Cache mounts speed up later builds; copy the binary out of the mount, which is not part of the image.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist \
    && cp target/dist/storyden-auth /storyden-auth \
    && mkdir -m 700 /data

# Distroless: no shell and no package manager; with CA certificates and time zones.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /storyden-auth /storyden-auth
# A new volume takes the directory and its owner from the image.
COPY --from=build --chown=nonroot:nonroot /data /data

ENV DATA_DIR=/data \
    LISTEN_ADDR=0.0.0.0:8000
VOLUME /data
EXPOSE 8000

HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["/storyden-auth", "healthcheck"]
ENTRYPOINT ["/storyden-auth"]
