import { GoogleToken, type GoogleTokenEvents } from './google-token.ts';
import { type RedisEndpoint, rereadSecret } from './service-settings.ts';

/** How a service says who it is to Redis: the fields of the bus' settings that depend on it. */
export interface RedisCredentials {
  readonly settings: Omit<
    RedisEndpoint,
    'auth' | 'metadataHost' | 'passwordFile' | 'sentinelPasswordFile'
  > & {
    readonly rereadPassword: () => string | undefined;
    readonly rereadSentinelPassword: () => string | undefined;
    /** Undefined where a new password is noticed only when Redis refuses the old one. */
    readonly onPasswordChange: ((listener: (password: string) => void) => () => void) | undefined;
  };
  /** Ends what keeps them. */
  stop(): void;
}

/** By `REDIS_PASSWORD_FILE` or the URL, or by the token of the VM's account. The caller stops them after its connections. */
export function openRedisCredentials(
  endpoint: RedisEndpoint,
  events: GoogleTokenEvents,
): RedisCredentials {
  const { auth, metadataHost, passwordFile, sentinelPasswordFile, ...rest } = endpoint;
  const rereadSentinelPassword = () => rereadSecret(sentinelPasswordFile);
  if (auth === 'password')
    return {
      settings: {
        ...{ ...rest, rereadPassword: () => rereadSecret(passwordFile) },
        ...{ rereadSentinelPassword, onPasswordChange: undefined },
      },
      stop() {},
    };
  const token = new GoogleToken({ host: metadataHost }, events);
  token.start();
  return {
    settings: {
      ...{ ...rest, rereadPassword: () => token.current, rereadSentinelPassword },
      onPasswordChange: (listener) => token.onChange(listener),
    },
    stop: () => token.stop(),
  };
}
