import type { IncomingMessage } from 'node:http';
import type { Caller } from '../access/caller.ts';
import type { Callers } from '../access/callers.ts';
import type { Right } from '../access/token-entries.ts';
import type { IngestEvents, RouteName } from '../events.ts';
import { refusal } from '../publishing/faults.ts';

/**
 * Returns who makes a request that needs a right.
 *
 * @throws HttpError unauthorized without a valid token, right_missing if the token does not give the right.
 */
export function admitCaller(
  { callers, events }: { readonly callers: Callers; readonly events: IngestEvents },
  route: RouteName,
  request: IncomingMessage,
  right: Right,
): Caller {
  const caller = callers.find(request);
  if (caller === undefined) {
    events.unauthorized(route, request.socket.remoteAddress);
    throw refusal('unauthorized');
  }
  if (!caller.rights.has(right)) {
    events.rightMissing(route, caller.name, right, request.socket.remoteAddress);
    throw refusal('right_missing', `The token does not give the right \`${right}\`.`);
  }
  return caller;
}
