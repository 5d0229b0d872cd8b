import { connect, loginNeeded, mayAct } from './live.ts';

/** Logs an operator in. Returns what went wrong, or undefined. */
export async function login(token: string): Promise<string | undefined> {
  const answer = await fetch('/v1/login', {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
  }).catch(() => undefined);
  if (answer === undefined) return 'The console does not answer.';
  if (!answer.ok) return await errorOf(answer);
  loginNeeded.value = false;
  mayAct.value = true;
  connect();
  return undefined;
}

/** Asks a node to do something. Returns one line that says what became of it. */
export async function actOnNode(node: string, verb: string): Promise<string> {
  return await post(`/v1/nodes/${encodeURIComponent(node)}/${verb}`);
}

/** Ends the connections of a subject to every edge. Returns one line that says what became of it. */
export async function endSubject(subject: string): Promise<string> {
  return await post(`/v1/subjects/${encodeURIComponent(subject)}/disconnect`);
}

async function post(path: string): Promise<string> {
  const answer = await fetch(path, {
    method: 'POST',
    headers: { 'x-tradewind-console': '1' },
  }).catch(() => undefined);
  if (answer === undefined) return 'The console does not answer.';
  const text = await answer.text();
  try {
    const body = JSON.parse(text);
    return body.message ?? body.error?.message ?? text;
  } catch {
    return text;
  }
}

async function errorOf(answer: Response): Promise<string> {
  const body = await answer.json().catch(() => undefined);
  return body?.error?.message ?? `The console answered ${answer.status}.`;
}
