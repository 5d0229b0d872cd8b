import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { encoded } from './startup.ts';

/** A VM's metadata server, Cloud Storage and Secret Manager, as far as a start-up script asks. */
export interface GoogleStandIn extends AsyncDisposable {
  /** The hosts of a start-up script, by the names of its template. */
  readonly hosts: Readonly<
    Record<'metadata_host' | 'storage_host' | 'secret_manager_host', string>
  >;
  /** Objects of Cloud Storage, by `bucket/object`. */
  readonly objects: Map<string, Buffer>;
  /** Values of secrets, by their versions: `projects/p/secrets/s/versions/v`. */
  readonly secrets: Map<string, string>;
  /** So many requests with a right token are answered with 403, as long as Google does not know the right. */
  notYet: number;
  /** Paths that were asked for, in order. What begins with `/absent/` is answered with 404. */
  readonly asked: string[];
}

/** Starts one that has no objects and no secrets; the caller ends it. */
export async function startGoogleStandIn(): Promise<GoogleStandIn> {
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    standIn.asked.push(path);
    const answer = path.startsWith('/computeMetadata/v1/')
      ? request.headers['metadata-flavor'] === 'Google' && METADATA[path.slice(20)]
      : request.headers.authorization === 'Bearer a-token' && answerTo(path);
    // Google tells who has no right neither what there is nor what there is not.
    const refusal = path.startsWith('/absent/') ? 404 : 403;
    response.writeHead(answer ? 200 : refusal).end(answer || undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const host = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const standIn: GoogleStandIn = {
    hosts: { metadata_host: host, storage_host: host, secret_manager_host: host },
    objects: new Map(),
    secrets: new Map(),
    notYet: 0,
    asked: [],
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };

  function answerTo(path: string): string | Buffer | undefined {
    if (standIn.notYet > 0) {
      standIn.notYet -= 1;
      return undefined;
    }
    const version = /^\/v1\/(projects\/.*):access$/.exec(path)?.[1];
    if (version === undefined) return standIn.objects.get(path.slice(1));
    const value = standIn.secrets.get(version);
    return value === undefined ? undefined : secretText(value);
  }

  return standIn;
}

const METADATA: Readonly<Record<string, string>> = {
  'instance/name': 'tw-edge-x1',
  'instance/service-accounts/default/token': '{"access_token":"a-token","expires_in":3599}',
};

function secretText(value: string): string {
  return JSON.stringify(
    { name: 'x', payload: { data: encoded(value), dataCrc32c: '1' } },
    undefined,
    2,
  );
}
