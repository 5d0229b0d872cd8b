import { type IapTunnel, openIapTunnel } from './iap-tunnel.ts';
import type { FleetNode, Reach } from './reach.ts';

/**
 * Reaches admin ports through Identity-Aware Proxy, from a machine outside of the network. There is one tunnel per
 * node. It opens at the first request, and again if it has ended.
 *
 * @param adminPort the port of the nodes.
 * @param project undefined: gcloud's own.
 */
export function createIapReach(adminPort: number, project: string | undefined): Reach {
  const tunnels = new Map<string, IapTunnel>();

  function tunnelTo({ name, zone }: FleetNode): IapTunnel {
    if (zone === undefined) throw new Error(`no tunnel to ${name}: its zone is not known`);
    const key = keyOf({ name, zone });
    const open = tunnels.get(key);
    if (open !== undefined) return open;
    const tunnel = openIapTunnel({ instance: name, port: adminPort, zone, project });
    tunnels.set(key, tunnel);
    void tunnel.ended.then(() => {
      if (tunnels.get(key) === tunnel) tunnels.delete(key);
    });
    return tunnel;
  }

  return {
    async urlOf(node) {
      const tunnel = tunnelTo(node);
      try {
        return `http://localhost:${await tunnel.port}`;
      } catch (error) {
        await tunnel.end();
        throw error;
      }
    },
    keepOnly(nodes) {
      const wanted = new Set(nodes.map(keyOf));
      for (const [key, tunnel] of tunnels) if (!wanted.has(key)) void tunnel.end();
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...tunnels.values()].map((tunnel) => tunnel.end()));
    },
  };
}

function keyOf({ name, zone }: Pick<FleetNode, 'name' | 'zone'>): string {
  return `${zone}/${name}`;
}
