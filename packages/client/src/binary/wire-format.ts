import { BINARY_SUBPROTOCOL } from '@tradewind/protocol';
import type { WireFormat } from '../types.ts';
import { inflate } from './inflate.ts';
import { MessageDecoder } from './message-decoder.ts';

/** Publications as binary frames, deflated against earlier ones of their channel. */
export const BINARY: WireFormat = {
  subprotocol: BINARY_SUBPROTOCOL,
  decoder: ({ maxPublicationBytes }) => new MessageDecoder(inflate, maxPublicationBytes),
};
