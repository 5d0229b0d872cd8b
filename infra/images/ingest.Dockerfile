# An ingest, of the very files that machines run. `npm run release` comes first; the context is release/.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
ARG VERSION
ADD tradewind-ingest-${VERSION}-linux-x64.tar.gz /opt/tradewind/ingest/
WORKDIR /opt/tradewind/ingest
USER 65532:65532
# As in infra/systemd/tradewind-ingest.service, which says why.
ENV NODE_ENV=production \
    DRAIN_SECONDS=30 \
    DRAIN_ACCEPT_SECONDS=12 \
    HTTP_KEEP_ALIVE_SECONDS=620 \
    HOST=0.0.0.0
EXPOSE 8081 9081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 \
  CMD ["/opt/tradewind/ingest/bin/node", "-e", "fetch('http://127.0.0.1:8081/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["/opt/tradewind/ingest/bin/node", "/opt/tradewind/ingest/app/main.js"]
