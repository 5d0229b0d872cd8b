import type { IncomingMessage } from 'node:http';
import { type BlockList, isIP } from 'node:net';
import {
  type Handler,
  HttpError,
  type HttpErrorDetails,
  type Route,
  SERVER_ERRORS,
  sendJson,
} from '@tradewind/runtime';
import type { ConsoleConfig } from '../config.ts';
import type { ConsoleEvents } from '../events.ts';
import type { NodeRow } from '../fleet/fleet.ts';
import type { Guard } from './guard.ts';
import { type ActionResult, askNode, endSubject, type NodeAction } from './node-actions.ts';
import type { Asset } from './page-assets.ts';
import { MAX_VIEWERS } from './viewers.ts';

/**
 * Nothing but our own files; the page has no inline script. Styles are set by the charts' library on elements, which a style
 * sheet cannot do.
 */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Headers of every answer of the page. */
const PAGE_HEADERS = {
  'content-security-policy': PAGE_POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
} as const;

/** The most clients that one shed moves, and the longest time that it takes, as the nodes have it. */
const MAX_SHED = { count: 1_000_000, overSeconds: 3_600 };

const LOGIN_REQUIRED: HttpErrorDetails = {
  ...{ status: 401, code: 'unauthorized', retryable: false },
  message: 'An operator must log in.',
};

/** The path of the WebSocket that a page listens to. */
const LIVE_PATH = '/v1/live';

const FULL: HttpErrorDetails = {
  ...{ status: 503, code: 'node_full', retryable: true },
  message: `${MAX_VIEWERS} pages are open: this console serves no more.`,
};

const TOO_MANY_LOGINS: HttpErrorDetails = {
  ...{ status: 429, code: 'rate_limited', retryable: true },
  message: 'Too many wrong tokens came lately.',
};

/** What the routes are made of. */
export interface RouteParts {
  readonly events: Pick<ConsoleEvents, 'loginDone' | 'actionDone'>;
  readonly guard: Guard;
  readonly assets: ReadonlyMap<string, Asset>;
  /** The row of a node; undefined if the console knows none of that name. */
  readonly node: (name: string) => NodeRow | undefined;
  readonly config: Pick<
    ConsoleConfig,
    'nodesToken' | 'nodeNetworks' | 'edgeUrls' | 'ingestUrl' | 'ingestToken'
  >;
  /** Whether the console can show what comes on a channel. */
  readonly hasTape: boolean;
}

/** All routes of the console. */
export function createRoutes(parts: RouteParts): readonly Route[] {
  const { guard, assets } = parts;
  const guarded = (handler: Handler): Handler => {
    return (request, response, match) => {
      const refusal = guard.refusal(request);
      if (refusal !== undefined) throw new HttpError(refusal);
      return handler(request, response, match);
    };
  };
  const pages = [...assets].map(([path, asset]): Route => {
    const handler = guarded((request, response) => {
      const headers = { ...PAGE_HEADERS, etag: asset.etag, 'cache-control': 'no-cache' };
      if (request.headers['if-none-match'] === asset.etag) {
        response.writeHead(304, headers).end();
        return;
      }
      const zips = /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
      const body = zips ? asset.gzipped : asset.body;
      response.writeHead(200, {
        ...headers,
        'content-type': asset.type,
        'content-length': body.length,
        vary: 'accept-encoding',
        ...(zips ? { 'content-encoding': 'gzip' } : {}),
      });
      response.end(request.method === 'HEAD' ? undefined : body);
    });
    return { method: 'GET', path, handler };
  });
  return [
    ...pages,
    { method: 'GET', path: '/v1/session', handler: guarded(session(parts)) },
    { method: 'POST', path: '/v1/login', handler: guarded(login(parts)) },
    { method: 'POST', path: '/v1/nodes/*', handler: guarded(act(parts)) },
    { method: 'POST', path: '/v1/subjects/*', handler: guarded(disconnect(parts)) },
  ];
}

/** What a page asks first: whether it must log in, whether it may act, and what this console can do. */
function session({ guard, config, hasTape }: RouteParts): Handler {
  return (request, response) => {
    const maySee = guard.maySee(request, Date.now());
    const loggedIn = guard.hasLogin && maySee;
    const [edgeUrl] = config.edgeUrls;
    const abilities = { hasTape, endsSubjects: config.ingestUrl !== undefined, edgeUrl };
    sendJson(response, 200, { hasLogin: guard.hasLogin, loggedIn, ...(maySee ? abilities : {}) });
  };
}

function login({ guard, events }: RouteParts): Handler {
  return (request, response) => {
    const [, token = ''] = /^Bearer (.+)$/.exec(request.headers.authorization ?? '') ?? [];
    const isSecure = request.headers['x-forwarded-proto'] === 'https';
    const result = guard.login(token, isSecure, Date.now());
    const outcome = typeof result === 'object' ? 'accepted' : result;
    events.loginDone(outcome, request.socket.remoteAddress);
    if (typeof result === 'object') {
      sendJson(response, 200, { loggedIn: true }, { 'set-cookie': result.cookie });
      return;
    }
    throw new HttpError(result === 'wrong' ? SERVER_ERRORS.unauthorized : TOO_MANY_LOGINS);
  };
}

/** `POST /v1/nodes/NODE/drain` and `POST /v1/nodes/NODE/shed?count=N&overSeconds=S`. */
function act(parts: RouteParts): Handler {
  const { guard, events } = parts;
  return async (request, response, { rest, query }) => {
    if (!guard.mayAct(request, Date.now())) throw new HttpError(LOGIN_REQUIRED);
    const [name = '', verb = ''] = rest.split('/');
    const node = parts.node(decode(name));
    if (node === undefined) throw new HttpError(SERVER_ERRORS.notFound);
    const action = readAction(verb, query);
    if (action === undefined) throw new HttpError(SERVER_ERRORS.badMessage);
    const result = await ask(parts, node, action);
    events.actionDone({ ...action, node: node.node }, result, request.socket.remoteAddress);
    sendJson(response, result.done ? 202 : 502, result);
  };
}

/** `POST /v1/subjects/SUBJECT/disconnect`. */
function disconnect({ guard, events, config }: RouteParts): Handler {
  return async (request, response, { rest }) => {
    if (!guard.mayAct(request, Date.now())) throw new HttpError(LOGIN_REQUIRED);
    const [name = '', verb = ''] = rest.split('/');
    const subject = decode(name);
    if (verb !== 'disconnect' || subject === '') throw new HttpError(SERVER_ERRORS.notFound);
    const result = await endSubject(config.ingestUrl, config.ingestToken, subject);
    events.actionDone({ kind: 'disconnect', subject }, result, request.socket.remoteAddress);
    sendJson(response, result.done ? 202 : 502, result);
  };
}

async function ask(
  { config }: RouteParts,
  node: NodeRow,
  action: NodeAction,
): Promise<ActionResult> {
  if (!isWithin(config.nodeNetworks, node.admin)) {
    const message = `${node.admin} is in none of CONSOLE_NODE_NETWORKS, so the console does not send it a token`;
    return { done: false, message };
  }
  return await askNode(node.admin, config.nodesToken, action);
}

/** Whether an address `host:port` is an IP address in one of the networks. A name could lead anywhere. */
function isWithin(networks: BlockList, address: string): boolean {
  const host = address.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  const family = isIP(host);
  return family !== 0 && networks.check(host, family === 6 ? 'ipv6' : 'ipv4');
}

function readAction(verb: string, query: URLSearchParams): NodeAction | undefined {
  if (verb === 'drain') return { kind: 'drain' };
  if (verb !== 'shed') return undefined;
  const count = readInteger(query.get('count'), MAX_SHED.count);
  const overSeconds = readInteger(query.get('overSeconds'), MAX_SHED.overSeconds);
  if (count === undefined || overSeconds === undefined) return undefined;
  return { kind: 'shed', count, overSeconds };
}

function readInteger(text: string | null, most: number): number | undefined {
  if (text === null || !/^[1-9][0-9]{0,6}$/.test(text)) return undefined;
  return Number(text) <= most ? Number(text) : undefined;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

/**
 * Why a request for the WebSocket must be refused.
 *
 * @param isFull whether as many pages are open as may be.
 */
export function viewerRefusal(
  guard: Guard,
  request: IncomingMessage,
  isFull: boolean,
): HttpErrorDetails | undefined {
  const refusal = guard.refusal(request);
  if (refusal !== undefined) return refusal;
  if (!guard.maySee(request, Date.now())) return LOGIN_REQUIRED;
  if (request.url !== LIVE_PATH) return SERVER_ERRORS.notFound;
  return isFull ? FULL : undefined;
}
