import { request as requestByHttp } from 'node:http';
import { request as requestByTls } from 'node:https';

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

/** Time for a node to answer, in ms. */
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
  return post(`http://${admin}${path}`, token);
}

/**
 * Ends the connections of a subject to every edge, and revokes its tokens, through ingest.
 *
 * @param token a token of ingest with the right `revoke`.
 */
export async function endSubject(
  ingestUrl: string | undefined,
  token: string | undefined,
  subject: string,
): Promise<ActionResult> {
  if (ingestUrl === undefined) {
    const message = 'The console does not know ingest: CONSOLE_INGEST_URL is not set.';
    return { done: false, message };
  }
  const path = `/v1/subjects/${encodeURIComponent(subject)}/disconnect`;
  return await post(new URL(path, ingestUrl).href, token);
}

function post(url: string, token: string | undefined): Promise<ActionResult> {
  const { protocol, host } = new URL(url);
  const request = protocol === 'https:' ? requestByTls : requestByHttp;
  return new Promise((resolve) => {
    const call = request(
      url,
      {
        method: 'POST',
        timeout: ANSWER_DEADLINE_MS,
        headers: {
          'content-length': 0,
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
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
      resolve({ done: false, message: `${host} cannot be reached from the console: ${message}` });
    });
    call.end();
  });
}
