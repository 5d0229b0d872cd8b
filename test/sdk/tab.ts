import { findProgram, startProcess } from '@tradewind/dev';

/** Flags for a browser of a machine without a screen, as root; it chooses the port of its protocol. */
const FLAGS = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  ...['--remote-debugging-port=0', '--no-first-run', 'about:blank'],
];

/** How long a browser may take to start, ms. */
const STARTS_WITHIN_MS = 30_000;

type Answer = Readonly<Record<string, unknown>>;

/** A tab of the machine's Chromium as its users have it. Disposing of it ends the browser. */
export interface Tab extends AsyncDisposable {
  /** Sends a command of the DevTools protocol to the tab. Rejects if it fails. */
  send(method: string, params?: object): Promise<Answer>;
  /** Puts another tab in front of it. Disposing of the result closes that one again. */
  cover(): Promise<AsyncDisposable>;
}

/**
 * Opens a tab by the DevTools protocol alone: Playwright keeps every page visible, and so none of its pages can be frozen.
 * Undefined where there is no Chromium.
 *
 * @param folder for the browser's files.
 * @param heard is told of each event of the tab.
 */
export async function openTab(
  folder: string,
  heard: (method: string, params: Answer) => void,
): Promise<Tab | undefined> {
  const command = await findProgram(['chromium', 'chromium-browser', 'google-chrome']);
  if (command === undefined) return undefined;
  await using stack = new AsyncDisposableStack();
  const browser = stack.use(
    await startProcess({
      ...{ name: 'chromium', command, args: [`--user-data-dir=${folder}`, ...FLAGS] },
      env: { PATH: process.env.PATH, HOME: folder },
      cwd: folder,
    }),
  );
  const url = await browser.waitForLine(
    (line) => line.match(/DevTools listening on (ws:\S+)/)?.[1],
    STARTS_WITHIN_MS,
  );
  const socket = new WebSocket(url);
  stack.defer(() => socket.close());
  const waiting = new Map<number, PromiseWithResolvers<Answer>>();
  let sent = 0;
  socket.addEventListener('message', ({ data }) => {
    const { id, method, params, result, error } = JSON.parse(data as string);
    if (id === undefined) heard(method, params);
    else if (error === undefined) waiting.get(id)?.resolve(result);
    else waiting.get(id)?.reject(new Error(error.message));
    waiting.delete(id);
  });
  await new Promise((resolve) => socket.addEventListener('open', resolve));
  const send = (method: string, params: object = {}, sessionId?: unknown): Promise<Answer> => {
    sent += 1;
    const answer = Promise.withResolvers<Answer>();
    waiting.set(sent, answer);
    socket.send(JSON.stringify({ id: sent, method, params, sessionId }));
    return answer.promise;
  };
  const { targetId } = await send('Target.createTarget', { url: 'about:blank' });
  const { sessionId } = await send('Target.attachToTarget', { targetId, flatten: true });
  const owned = stack.move();
  return {
    send: (method, params) => send(method, params, sessionId),
    async cover() {
      const front = await send('Target.createTarget', { url: 'about:blank' });
      await send('Target.activateTarget', { targetId: front.targetId });
      return {
        async [Symbol.asyncDispose]() {
          await send('Target.closeTarget', { targetId: front.targetId });
          await send('Target.activateTarget', { targetId });
        },
      };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
