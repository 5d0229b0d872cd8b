/** Where a VM of Google's asks who it is, unless `GCE_METADATA_HOST` says otherwise. */
const METADATA_HOST = 'metadata.google.internal';

const PATH = '/computeMetadata/v1/instance/service-accounts/default/token';

/** How long the metadata server may take, in ms. It is on the same machine and needs a few. */
const ANSWER_MS = 5_000;

/**
 * Asks for the access token of the VM's account, by which Redis knows a service with `REDIS_AUTH=google`, too. It is good for at least
 * five minutes. Rejects with a sentence; the token is in no message.
 *
 * @param host of the metadata server, and its port unless 80; undefined: Google's.
 */
export async function askGoogleToken(host = METADATA_HOST): Promise<string> {
  let answer: unknown;
  try {
    const response = await fetch(`http://${host}${PATH}`, {
      headers: { 'metadata-flavor': 'Google' },
      redirect: 'error',
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    if (!response.ok) throw new Error(`it answers ${response.status}`);
    answer = await response.json();
  } catch (error) {
    const { name, message, cause } = error as Error;
    // The text of a broken answer may hold a token.
    const what = name === 'SyntaxError' ? 'it answers no JSON' : describe(cause) || message;
    throw new Error(`no token from the metadata server at ${host}: ${what}`);
  }
  const { access_token: token } = Object(answer) as Record<string, unknown>;
  if (typeof token === 'string' && token !== '') return token;
  throw new Error(`no token from the metadata server at ${host}: it answers none`);
}

/** What `fetch` keeps from its own message. */
function describe(cause: unknown): string {
  return cause instanceof Error ? cause.message || String((cause as { code?: string }).code) : '';
}
