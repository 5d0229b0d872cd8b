import type { PublicationMessage, ServerMessage } from '@tradewind/protocol';
import type { Reviver } from '../types.ts';

export type Frame = ServerMessage | (PublicationMessage & { readonly type?: undefined });

const DATA = '"data":';

/**
 * Reads a frame. A reviver sees the `data` of a publication and nothing of its envelope. Throws if the text is not a JSON
 * object.
 */
export function parseFrame(text: string, reviver: Reviver | undefined): Frame {
  // A channel's name has no quotes, so the first `"data":` is the envelope's.
  const at = reviver === undefined || text.startsWith('{"type"') ? -1 : text.indexOf(DATA);
  const frame: unknown = JSON.parse(at === -1 ? text : `${text.slice(0, at)}${DATA}0}`);
  if (typeof frame !== 'object' || frame === null) throw new SyntaxError('no object');
  if (at === -1) return frame as Frame;
  const data: unknown = JSON.parse(text.slice(at + DATA.length, -1), reviver as never);
  return { ...frame, data } as Frame;
}
