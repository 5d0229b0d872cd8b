import { isIPv4, isIPv6 } from 'node:net';
import { canonicalAddress } from './client-address.ts';

/** The longest header of version 1, in bytes, its CRLF included (the PROXY protocol, 2.1). */
export const MAX_PROXY_HEADER_BYTES = 107;

const BEGIN = Buffer.from('PROXY ', 'latin1');
const END = Buffer.from('\r\n', 'latin1');
const PORT = /^(0|[1-9][0-9]{0,4})$/;
const MAX_PORT = 65_535;
const FIELDS = 6;

/** What the first bytes of a connection say. */
export type ProxyHeader =
  /** The end of the header has not arrived yet. */
  | { readonly kind: 'incomplete' }
  /** They are no header: the proxy speaks for itself, as in a health check. */
  | { readonly kind: 'absent' }
  /** They begin like a header, but break its grammar. */
  | { readonly kind: 'malformed' }
  | {
      readonly kind: 'complete';
      /** The client's canonical address. Undefined if the proxy speaks for itself (`UNKNOWN`), as in a health check. */
      readonly address: string | undefined;
      /** The bytes of the header. What follows it belongs to the client. */
      readonly length: number;
    };

const INCOMPLETE: ProxyHeader = { kind: 'incomplete' };
const ABSENT: ProxyHeader = { kind: 'absent' };
const MALFORMED: ProxyHeader = { kind: 'malformed' };

/** Reads a header of version 1 of the PROXY protocol (haproxy.org, proxy-protocol.txt), which precedes all bytes of the client. */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  const known = Math.min(bytes.length, BEGIN.length);
  if (bytes.compare(BEGIN, 0, known, 0, known) !== 0) return ABSENT;
  const end = bytes.subarray(0, MAX_PROXY_HEADER_BYTES).indexOf(END);
  if (end === -1) return bytes.length < MAX_PROXY_HEADER_BYTES ? INCOMPLETE : MALFORMED;
  const fields = bytes.toString('latin1', 0, end).split(' ');
  const length = end + END.length;
  const [, family, source = '', target = '', ...ports] = fields;
  if (family === 'UNKNOWN') return { kind: 'complete', address: undefined, length };
  const isAddress = family === 'TCP4' ? isIPv4 : isIPv6;
  const isRight =
    (family === 'TCP4' || family === 'TCP6') &&
    fields.length === FIELDS &&
    isAddress(source) &&
    isAddress(target) &&
    ports.every(isPort);
  return isRight ? { kind: 'complete', address: canonicalAddress(source), length } : MALFORMED;
}

function isPort(text: string): boolean {
  return PORT.test(text) && Number(text) <= MAX_PORT;
}
