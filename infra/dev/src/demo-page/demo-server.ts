import {
  createHttpServer,
  createLogger,
  DEFAULT_HTTP_LIMITS,
  pageFault,
  type Route,
  SERVER_ERRORS,
  sendError,
  sendJson,
  sendText,
} from '@tradewind/runtime';
import type { Demo } from '../demo/demo.ts';
import { buildPage, type PageFile } from './page-files.ts';

/** The setting that moves the port. */
const PORT_SETTING = 'START_DEMO_PORT';

/** Who reaches this address may end processes of the demo, so it is this machine alone. */
export const DEMO_HOST = '127.0.0.1';

/** Time for answers in flight when it ends, in ms. */
const CLOSE_MS = 500;

/**
 * Serves the demo's page from now on. The caller owns the result. Only this machine reaches it, and the guard refuses every page
 * but its own.
 *
 * @throws Error with a message that names the setting to change, when the port cannot be used.
 */
export async function startDemoServer(demo: Demo, port: number): Promise<AsyncDisposable> {
  const files = await buildPage();
  const server = createHttpServer({
    logger: createLogger({ name: 'demo', level: 'silent' }),
    limits: DEFAULT_HTTP_LIMITS,
    portSetting: PORT_SETTING,
    refusal: pageFault,
    routes: [...files.map((file) => pageRoute(file, demo)), tierRoute(demo), ...actionRoutes(demo)],
  });
  await server.listen(DEMO_HOST, port);
  return { [Symbol.asyncDispose]: () => server.close(CLOSE_MS) };
}

function pageRoute({ path, type, text }: PageFile, demo: Demo): Route {
  const edges = demo.state().edges.map(({ wsUrl }) => new URL(wsUrl).origin);
  const headers = {
    'content-type': type,
    'content-security-policy': policy(edges),
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
  };
  return {
    method: 'GET',
    path,
    handler: (_request, response) => sendText(response, 200, text, headers),
  };
}

/** Nothing but our own files and the edges. */
function policy(edges: readonly string[]): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    ["connect-src 'self'", ...edges].join(' '),
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

/** What the page reads of the tier; its type `Tier` says the same. */
function tierRoute({ state, actions }: Demo): Route {
  return {
    method: 'GET',
    path: '/v1/tier',
    handler: (_request, response) => {
      const { edges, redis, channels, ownChannels, published, consoleUrl } = state();
      sendJson(response, 200, {
        nodes: edges.map(({ name, wsUrl, condition, clients, messagesPerSecond }) => {
          return { name, wsUrl, condition, clients, messagesPerSecond };
        }),
        redis: {
          condition: redis.isFrozen ? 'frozen' : 'ready',
          canFreeze: actions.canFreeze,
        },
        canBurst: actions.canBurst,
        channels: [...channels, ...ownChannels].map(({ name }) => name),
        published,
        consoleUrl,
      });
    },
  };
}

/** Does something to the tier. Returns why it was not done; undefined if it was. */
type Action = () => Promise<string | undefined> | string | undefined;

function actionRoutes({ actions }: Demo): readonly Route[] {
  const route = (path: string, find: (rest: string) => Action | undefined): Route => ({
    method: 'POST',
    path,
    handler: async (_request, response, { rest }) => {
      const action = find(rest);
      if (action === undefined) {
        sendError(response, SERVER_ERRORS.notFound);
        return;
      }
      const message = await action();
      if (message === undefined) sendJson(response, 202, { accepted: true });
      else sendError(response, { status: 409, code: 'unavailable', message, retryable: true });
    },
  });
  return [
    route('/v1/redis/freeze', () => () => actions.freezeRedis()),
    route('/v1/burst', () => () => actions.burst()),
    route('/v1/nodes/*', (rest) => {
      const [name = '', verb = ''] = rest.split('/');
      if (verb === 'kill') return () => actions.kill(name);
      if (verb === 'drain') return () => actions.drain(name);
      return undefined;
    }),
  ];
}
