import { CLOSE_CODES, type CloseReason } from '@tradewind/protocol';

/** The reason for a close that the peer began. Its own codes say nothing about this node. */
export function reasonOfPeerCode(code: number): CloseReason {
  const ABNORMAL_CLOSURE = 1006;
  if (code === CLOSE_CODES.going_away.code) return 'going_away';
  return code === ABNORMAL_CLOSURE ? 'connection_lost' : 'normal';
}

/** The reason for an error of `ws`, whose API page lists the codes. */
export function reasonOfError(code: string | undefined): CloseReason {
  switch (code) {
    case 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH':
    case 'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH':
      return 'message_too_large';
    case 'WS_ERR_INVALID_UTF8':
      return 'invalid_text';
    case 'WS_ERR_TOO_MANY_BUFFERED_PARTS':
      return 'policy_violation';
    default:
      return code?.startsWith('WS_ERR_') === true ? 'protocol_error' : 'connection_lost';
  }
}
