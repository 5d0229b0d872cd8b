import { request } from 'node:http';

/** What an operator may ask a node for. */
export type NodeAction =
  | { readonly kind: 'drain' }
  | { readonly kind: 'shed'; readonly count: number; readonly overSeconds: number };

/** What became of an action. */
export interface ActionResult {
  readonly done: boolean;
  /** One line for people. */
  readonly message: string;
}

/** Time for a node's admin port to answer, in ms. */
const ANSWER_DEADLINE_MS = 5_000;

/** The most bytes of an answer that are read. */
const MAX_ANSWER_BYTES = 4_096;

/**
 * Asks a node through its admin port, never through Redis: who may write keys must not be able to drain.
 *
 * @param admin `host:port`, as the node tells it.
 * @param token the nodes' `ADMIN_TOKEN`.
 */
export function askNode(
  admin: string,
  token: string | undefined,
  action: NodeAction,
): Promise<ActionResult> {
  const path =
    action.kind === 'drain'
      ? '/drain'
      : `/shed?count=${action.count}&overSeconds=${action.overSeconds}`;
  return new Promise((resolve) => {
    const call = request(
      `http://${admin}${path}`,
      {
        method: 'POST',
        timeout: ANSWER_DEADLINE_MS,
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      },
      (answer) => {
        const { statusCode = 0 } = answer;
        let text = '';
        answer.setEncoding('utf8');
        answer.on('data', (part: string) => {
          if (text.length < MAX_ANSWER_BYTES) text += part;
        });
        answer.on('error', (error) => resolve({ done: false, message: error.message }));
        answer.on('end', () => {
          const done = statusCode >= 200 && statusCode < 300;
          resolve({ done, message: done ? 'accepted' : `${statusCode}: ${text.trim()}` });
        });
      },
    );
    call.on('timeout', () => call.destroy(new Error(`no answer within ${ANSWER_DEADLINE_MS} ms`)));
    call.on('error', ({ message }) => {
      resolve({ done: false, message: `${admin} cannot be reached from the console: ${message}` });
    });
    call.end();
  });
}
