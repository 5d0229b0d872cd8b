/** How OpenSSL says that what came back is no TLS. Redis answers a TLS greeting with an error in plain text. */
const NO_TLS = /wrong version number|packet length too long|before secure TLS connection/i;

/**
 * Adds to the cause of a lost connection what is the likely mistake, when one end speaks TLS and the other does not. Neither end
 * can say so: a TLS port resets a plain connection, and OpenSSL only complains of a version.
 *
 * @param bytesRead what has come over the connection, in bytes.
 */
export function withTlsHint(
  cause: string | undefined,
  isTls: boolean,
  bytesRead: number,
): string | undefined {
  if (cause === undefined) return undefined;
  if (isTls && NO_TLS.test(cause))
    return `${cause}; if this port does not speak TLS, REDIS_URL must begin with redis:`;
  if (!isTls && bytesRead === 0 && cause.includes('ECONNRESET'))
    return `${cause}; if this port speaks TLS, REDIS_URL must begin with rediss:`;
  return cause;
}
