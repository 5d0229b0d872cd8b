import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WORKSPACE_NODE } from '@tradewind/dev';

/** Brings nodes back for `npm run roll -- --replace`, as `ssh {node} systemctl start` would. */
export interface Supervisor extends AsyncDisposable {
  /** What `--replace` runs. */
  readonly command: string;
  /** Names of the nodes that were brought back, in order. */
  readonly replaced: readonly string[];
}

/** @param start starts what is called so; the command fails when it rejects. */
export async function startSupervisor(start: (name: string) => Promise<void>): Promise<Supervisor> {
  const replaced: string[] = [];
  const server = createServer(async (request, response) => {
    const name = (request.url ?? '').slice(1);
    try {
      await start(name);
      replaced.push(name);
      response.end();
    } catch (error) {
      response.writeHead(500).end((error as Error).message);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const script =
    `const answer = await fetch("http://127.0.0.1:${port}/" + process.argv[1]); ` +
    'if (!answer.ok) throw new Error(await answer.text());';
  return {
    command: `'${WORKSPACE_NODE}' --input-type=module -e '${script}' {node}`,
    replaced,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
