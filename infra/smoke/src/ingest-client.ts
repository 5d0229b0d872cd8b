import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { SmokeSettings } from './settings.ts';
import { PROMPTLY_MS } from './smoke-client.ts';

/** The parts of an HTTP answer that checks read. */
export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

/** Sends one request over HTTP or HTTPS with the certificates of the settings. Rejects if there is no answer. */
export function ask(
  settings: SmokeSettings,
  method: 'GET' | 'POST',
  url: string,
  options: { readonly headers?: Readonly<Record<string, string>>; readonly body?: string } = {},
): Promise<HttpAnswer> {
  const send = url.startsWith('https:') ? requestHttps : requestHttp;
  const { certificateAuthority: ca } = settings;
  return new Promise((resolve, reject) => {
    const request = send(
      url,
      {
        method,
        headers: { ...options.headers },
        signal: AbortSignal.timeout(PROMPTLY_MS),
        ...(ca === undefined ? {} : { ca }),
      },
      (response) => {
        const pieces: string[] = [];
        response.setEncoding('utf8').on('data', (piece: string) => pieces.push(piece));
        response.on('error', reject);
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, body: pieces.join('') });
        });
      },
    );
    request.on('error', reject);
    request.end(options.body);
  });
}

/** Publishes a payload unchanged. Rejects if ingest refuses it. */
export async function publish(
  settings: SmokeSettings,
  channel: string,
  payload: string,
): Promise<void> {
  const { token } = settings;
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const url = `${settings.ingestUrl}/v1/channels/${encodeURIComponent(channel)}`;
  const { status, body } = await ask(settings, 'POST', url, { headers, body: payload });
  if (status < 200 || status > 299) throw new Error(`ingest answered ${status}: ${body.trim()}`);
}
