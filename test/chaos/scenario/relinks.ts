import { linksOf, type TcpFaultProxy } from '../../support/faults/tcp-fault-proxy.ts';

/** A fault on a subscriber link of a node. */
export interface Incident {
  readonly node: string;
  /** The link's number at the proxy. */
  readonly link: number;
  /** ms of `performance.now()`. */
  readonly at: number;
}

/** Records when nodes subscribe on new links. */
export interface Relinks extends Disposable {
  /** The present links, each with a fault that happens now. */
  incidents(): readonly Incident[];
  /**
   * How long after an incident its node subscribed to a channel on a newer link, in ms: it has then noticed and
   * connected. Undefined until it has.
   */
  after(incident: Incident): number | undefined;
}

/** Watches the subscriber links of nodes from now on. The caller ends it. */
export function watchRelinks(proxy: TcpFaultProxy, nodes: readonly string[]): Relinks {
  const subscribed = new Map<string, { readonly link: number; readonly at: number }[]>();
  const watch = proxy.watchCommands(([name = '', channel = ''], link) => {
    if (!/^subscribe$/i.test(name) || channel.startsWith('tw:')) return;
    const node = nodes.find((each) => linksOf('subscriber', each)(link));
    if (node === undefined) return;
    const known = subscribed.get(node) ?? [];
    if (known.at(-1)?.link === link.number) return;
    subscribed.set(node, [...known, { link: link.number, at: performance.now() }]);
  });
  return {
    incidents() {
      const at = performance.now();
      return nodes.flatMap((node) =>
        proxy.links.filter(linksOf('subscriber', node)).map(({ number: link }) => {
          return { node, link, at };
        }),
      );
    },
    after({ node, link, at }) {
      const next = subscribed.get(node)?.find((each) => each.link > link);
      return next === undefined ? undefined : next.at - at;
    },
    [Symbol.dispose]: () => watch[Symbol.dispose](),
  };
}
