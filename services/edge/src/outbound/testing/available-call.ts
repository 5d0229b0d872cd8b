/** Run by kernel-send.test.ts in a process of its own: prints which call there is where `send` is asked for. */
import { availableCall } from '../socket-send.ts';

let why: string | undefined;
const call = availableCall('send', (error) => {
  why = String(error);
});
process.stdout.write(JSON.stringify({ call, why }));
