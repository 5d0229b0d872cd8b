import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findFreePort, findProgram, startProcess } from '@tradewind/dev';
import { expect, it, onTestFinished } from 'vitest';
import WebSocket from 'ws';
import { createTestAuthority } from '../../support/identity/certificates.ts';
import { eventually } from '../../support/suite/wait.ts';
import { startTier } from '../../support/tier.ts';

const EXAMPLE = fileURLToPath(new URL('../../../infra/nginx/tradewind.conf', import.meta.url));

const NGINX = await findProgram(['nginx'], `${process.env.PATH ?? ''}:/usr/sbin`);
if (NGINX === undefined) console.log('skipped: infra/nginx is tried where there is an nginx');

const DEADLINE_MS = 60_000;

/** An address of this machine that no proxy has. */
const CLIENT_ADDRESS = '127.0.0.2';

it.skipIf(NGINX === undefined)(
  'nginx does TLS, tells edges the address of the client, and moves on from an edge that drains',
  async () => {
    await using authority = await createTestAuthority();
    const { certificateFile, keyFile } = await authority.issue('localhost', 'DNS:localhost');
    await using tier = await startTier({
      edges: 2,
      env: { EDGE_TRUSTED_PROXIES: '127.0.0.1', DRAIN_SECONDS: '20' },
    });
    const port = await findFreePort();
    const folder = await mkdtemp(join(tmpdir(), 'nginx-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const example = (await readFile(EXAMPLE, 'utf8'))
      .replace('10.0.0.4:8080', `127.0.0.1:${tier.edges[0]!.port}`)
      .replace('10.0.0.5:8080', `127.0.0.1:${tier.edges[1]!.port}`)
      .replace('listen 443', `listen 127.0.0.1:${port}`)
      .replace('/etc/nginx/tls-cert.pem', certificateFile)
      .replace('/etc/nginx/tls-key.pem', keyFile);
    await writeFile(join(folder, 'tradewind.conf'), example);
    const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
    await writeFile(
      join(folder, 'nginx.conf'),
      [
        ...['daemon off;', 'master_process off;', `pid ${folder}/pid;`, 'error_log stderr;'],
        'events { worker_connections 64; }',
        'http {',
        ...['  access_log off;', ...paths.map((path) => `  ${path}_temp_path ${folder}/${path};`)],
        ...[`  include ${folder}/tradewind.conf;`, '}', ''],
      ].join('\n'),
    );
    await using _ = await startProcess({
      ...{ name: 'nginx', command: NGINX!, env: process.env, cwd: folder },
      args: ['-e', 'stderr', '-p', folder, '-c', join(folder, 'nginx.conf')],
    });

    const open = async (): Promise<{ readonly node: string; readonly socket: WebSocket }> => {
      const socket = new WebSocket(`wss://localhost:${port}/ws`, {
        ...{ ca: authority.pem, localAddress: CLIENT_ADDRESS, family: 4 },
      });
      onTestFinished(() => socket.terminate());
      const [data] = (await once(socket, 'message')) as [Buffer];
      return { node: (JSON.parse(String(data)) as { node: string }).node, socket };
    };
    const first = await eventually(open, {
      deadlineMs: DEADLINE_MS,
    });
    const holder = tier.edges.find((_edge, i) => `edge-${i + 1}` === first.node)!;
    await holder.waitForLine(
      (line) =>
        (line.includes('client_connected') && line.includes(`"${CLIENT_ADDRESS}"`)) || undefined,
      DEADLINE_MS,
    );

    const closed = once(first.socket, 'close');
    await fetch(`${holder.adminUrl}/drain`, { method: 'POST' });
    await closed;
    const others = await Promise.all([open(), open(), open()]);
    expect(new Set(others.map(({ node }) => node))).toEqual(
      new Set([first.node === 'edge-1' ? 'edge-2' : 'edge-1']),
    );
  },
  DEADLINE_MS * 2,
);
