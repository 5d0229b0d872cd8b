# An edge, of the very files that machines run. `npm run release` comes first; the context is release/.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
ARG VERSION
ADD tradewind-edge-${VERSION}-linux-x64.tar.gz /opt/tradewind/edge/
WORKDIR /opt/tradewind/edge
USER 65532:65532
# HOST is not loopback, so the edge starts only when EDGE_AUTH, and EDGE_PLAIN_BEHIND_TLS or EDGE_TLS_CERT_FILE, are set too.
# As in infra/systemd/tradewind-edge.service, which says why.
ENV NODE_ENV=production \
    MALLOC_MMAP_THRESHOLD_=16384 \
    MALLOC_TRIM_THRESHOLD_=131072 \
    DRAIN_SECONDS=60 \
    DRAIN_ACCEPT_SECONDS=12 \
    HTTP_KEEP_ALIVE_SECONDS=620 \
    HOST=0.0.0.0
EXPOSE 8080 9080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 \
  CMD ["/opt/tradewind/edge/bin/node", "-e", "require(process.env.EDGE_TLS_CERT_FILE ? 'https' : 'http').get({ host: '127.0.0.1', port: 8080, path: '/healthz', rejectUnauthorized: false }, (r) => process.exit(r.statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
ENTRYPOINT ["/opt/tradewind/edge/bin/node", "--max-semi-space-size=16", "/opt/tradewind/edge/app/main.js"]
