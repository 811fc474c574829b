# starchat in a container, as an ordinary user:
#   docker build -t starchat .
#   docker run --rm -it -v starchat:/data starchat chat smollm2:135m-instruct       (after: ... starchat pull smollm2:135m-instruct)
#   docker run -d -v starchat:/data -p 127.0.0.1:8080:8080 starchat serve MODEL --host 0.0.0.0 --api-key-file /data/keys
# /data keeps models and conversations. Generated code is not run in it: bubblewrap wants namespaces, which containers do not give away.
FROM debian:bookworm AS build
WORKDIR /src
COPY tools/setup.sh tools/setup.sh
RUN tools/setup.sh tarball
COPY . .
RUN make --no-print-directory -s tarball && mkdir /out && tar -xzf build/starchat-*-linux-x86_64.tar.gz -C /out --strip-components=1

FROM debian:bookworm-slim
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends ca-certificates >/dev/null && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --home-dir /data --create-home --shell /usr/sbin/nologin starchat
COPY --from=build /out/bin/starchat /usr/local/bin/starchat
COPY --from=build /out/share/doc/starchat/licences /usr/local/share/doc/starchat/licences
USER 10001
ENV STARCHAT_HOME=/data
WORKDIR /data
VOLUME /data
EXPOSE 8080
# Of `serve`, at the port that is the default: the server says itself whether it is well.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /health HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r -t 4 _ status _ <&3 && [ \"$status\" = 200 ]"]
ENTRYPOINT ["starchat"]
CMD ["help"]
