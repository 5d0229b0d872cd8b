/** Run by socket-send.test.ts in a process of its own: prints which mode there is where `send` is asked for. */
import { availableMode } from '../socket-send.ts';

let why: string | undefined;
const mode = availableMode('send', (error) => {
  why = String(error);
});
process.stdout.write(JSON.stringify({ mode, why }));
