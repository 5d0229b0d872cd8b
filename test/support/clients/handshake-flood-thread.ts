import { connect } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import type { FloodSettings } from './handshake-flood.ts';

/** The interval at which handshakes are sent, in ms: late ones are made up for. */
const INTERVAL_MS = 10;

const REQUEST = [
  'GET /ws HTTP/1.1',
  'host: localhost',
  'upgrade: websocket',
  'connection: Upgrade',
  'sec-websocket-version: 13',
  'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
  '\r\n',
].join('\r\n');

const { port, localAddress, perSecond } = workerData as FloodSettings;
const outcome = { sent: 0, admitted: 0, refused: 0, reset: 0 };
const begunAt = performance.now();

setInterval(() => {
  const due = ((performance.now() - begunAt) / 1_000) * perSecond;
  while (outcome.sent < due) send();
}, INTERVAL_MS);
parentPort?.on('message', () => parentPort?.postMessage({ ...outcome }));

function send(): void {
  outcome.sent += 1;
  let isAnswered = false;
  const socket = connect({ host: '127.0.0.1', port, localAddress, noDelay: true });
  socket.on('error', () => undefined);
  socket.once('data', (bytes) => {
    isAnswered = true;
    const isAdmitted = bytes.toString('latin1').startsWith('HTTP/1.1 101 ');
    outcome[isAdmitted ? 'admitted' : 'refused'] += 1;
    // Nobody reads what a client is told.
    if (isAdmitted) socket.resume();
    else socket.destroy();
  });
  socket.once('close', () => {
    if (!isAnswered) outcome.reset += 1;
  });
  socket.write(REQUEST);
}
