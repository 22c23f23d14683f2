# syntax=docker/dockerfile:1

# The Debian release of both stages is the same, so that the binary finds the glibc it was built for.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# The caches keep a second build short; the binary has to leave the cached folder to be copied.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist \
    && cp target/dist/storyden-auth /storyden-auth \
    && mkdir -m 700 /data

# No shell and no package manager; certificates and time zones are there.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /storyden-auth /storyden-auth
# The folder comes with its owner, because a new volume takes both from the image.
COPY --from=build --chown=nonroot:nonroot /data /data

ENV DATA_DIR=/data \
    LISTEN_ADDR=0.0.0.0:8000
VOLUME /data
EXPOSE 8000

HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["/storyden-auth", "healthcheck"]
ENTRYPOINT ["/storyden-auth"]
