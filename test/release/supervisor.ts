import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WORKSPACE_NODE } from '@tradewind/dev';

/** Restarts nodes for `npm run roll -- --replace`, like `ssh {node} systemctl start`. */
export interface Supervisor extends AsyncDisposable {
  /** The command for `--replace`. */
  readonly command: string;
  /** Names of the restarted nodes, in order. */
  readonly replaced: readonly string[];
}

/** @param start starts the node with this name; if it rejects, the command fails. */
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
