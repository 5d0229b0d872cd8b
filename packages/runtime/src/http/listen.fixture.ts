// A thread that listens and then does nothing else until it is woken. Started by listen.test.ts.
import { createServer } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { listenOn } from './listen.ts';

const woken = new Int32Array(workerData as SharedArrayBuffer);
const server = createServer((socket) => socket.destroy());
const address = { host: '127.0.0.1', port: 0, reusePort: false, portSetting: 'PORT' };
parentPort?.postMessage(await listenOn(server, address));
Atomics.wait(woken, 0, 0);
server.close();
