import { createReadStream } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const ACCESS_TOKEN = 'a-token-of-the-service-account';

/** The parts of Compute Engine's metadata server, Cloud Storage and Secret Manager that a start-up script uses. */
export interface CloudStandIn extends AsyncDisposable {
  readonly url: string;
  /** Requested paths, in order. */
  readonly asked: readonly string[];
}

/**
 * @param objects paths of files by bucket and object, `bucket/object`.
 * @param secrets values by the secret's version, `projects/…/versions/…`.
 */
export async function startCloudStandIn(
  objects: Readonly<Record<string, string>>,
  secrets: Readonly<Record<string, string>>,
): Promise<CloudStandIn> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    asked.push(path);
    const isMetadata = path.startsWith('/computeMetadata/v1/');
    const isAllowed = isMetadata
      ? request.headers['metadata-flavor'] === 'Google'
      : request.headers.authorization === `Bearer ${ACCESS_TOKEN}`;
    const object = objects[path.slice(1)];
    const secret = secrets[path.replace(/^\/v1\//, '').replace(/:access$/, '')];
    if (!isAllowed) response.writeHead(403).end();
    else if (path.endsWith('/instance/name')) response.end('edge-xk3f');
    else if (path.endsWith('/service-accounts/default/token')) {
      response.end(JSON.stringify({ access_token: ACCESS_TOKEN, expires_in: 3_599 }));
    } else if (object !== undefined) createReadStream(object).pipe(response);
    else if (secret !== undefined) {
      const data = Buffer.from(secret).toString('base64');
      response.end(JSON.stringify({ name: path, payload: { data } }, undefined, 2));
    } else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
