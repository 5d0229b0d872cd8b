/**
 * The `gcloud` on the PATH of tests. It asks the test at FAKE_CLOUD_URL for its answer (a `FakeAnswer` to a POST of
 * `{"args":[…],"pid":…}`), and acts as a tunnel as gcloud 528 does: it prints its port on stdout, which Python's buffer
 * never lets through to a pipe.
 */
import { connect, createServer, type Socket } from 'node:net';
import type { FakeAnswer, TunnelTarget } from './fake-cloud.ts';

const url = process.env.FAKE_CLOUD_URL ?? '';
const body = JSON.stringify({ args: process.argv.slice(2), pid: process.pid });
const answer = (await (await fetch(url, { method: 'POST', body })).json()) as FakeAnswer;

if ('tunnelTo' in answer) await playTunnel(answer.tunnelTo);
else {
  process.stdout.write(answer.stdout);
  if (answer.error !== '') console.error(`ERROR: (gcloud) ${answer.error}`);
  process.exitCode = answer.error === '' ? 0 : 1;
}

async function playTunnel(target: TunnelTarget): Promise<void> {
  const server = createServer((client) => {
    const backend = connect(target);
    for (const [from, to] of [
      [client, backend],
      [backend, client],
    ] as const) {
      from.on('error', () => {});
      from.once('close', () => to.destroy());
      from.pipe(to);
    }
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, 'localhost', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
  console.error(`Picking local unused port [${port}].`);
  console.error('Testing if tunnel connection works.');
  if (await answers(connect(target))) {
    if (process.env.PYTHONUNBUFFERED) console.log(`Listening on port [${port}].`);
    return;
  }
  console.error(
    'ERROR: (gcloud.compute.start-iap-tunnel) While checking if a connection can be made: ' +
      "Error while connecting [4003: 'failed to connect to backend'].",
  );
  process.exitCode = 1;
  server.close();
}

async function answers(socket: Socket): Promise<boolean> {
  const isThere = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  });
  socket.destroy();
  return isThere;
}
