# A console, of the very files that machines run. `npm run release` comes first; the context is release/.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
ARG VERSION
ADD tradewind-console-${VERSION}-linux-x64.tar.gz /opt/tradewind/console/
WORKDIR /opt/tradewind/console
USER 65532:65532
# HOST is not loopback, so the console starts only when CONSOLE_TOKEN_FILE is set too.
ENV NODE_ENV=production \
    HOST=0.0.0.0
EXPOSE 8090 9091
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 \
  CMD ["/opt/tradewind/console/bin/node", "-e", "fetch('http://127.0.0.1:8090/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["/opt/tradewind/console/bin/node", "--max-old-space-size=256", "/opt/tradewind/console/app/main.js"]
