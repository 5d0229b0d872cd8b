import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { WORKSPACE_ROOT } from '@tradewind/dev';

/** What we deploy on each machine that holds clients. */
const DEPLOYED_SETTINGS = join(WORKSPACE_ROOT, 'infra/sysctl/60-tradewind.conf');

/** The settings among them that each network has of its own and that say how much the kernel buffers for a socket. */
const BUFFER_SETTING = /^net\.ipv4\.tcp_(?:rmem|wmem|notsent_lowat)$/;

/** A kernel setting for the buffers of TCP sockets. */
export interface BufferSetting {
  /** The file of `/proc/sys` that holds it. */
  readonly path: string;
  /** Bytes: one number, or the smallest, first and largest size. */
  readonly value: string;
}

/** The buffers of TCP sockets as `infra/sysctl` deploys them. */
export const DEPLOYED_BUFFERS: readonly BufferSetting[] = readBufferSettings();

function readBufferSettings(): readonly BufferSetting[] {
  const settings = readFileSync(DEPLOYED_SETTINGS, 'utf8')
    .split('\n')
    .map((line) => line.split('=').map((part) => part.trim()) as [string, string | undefined])
    .filter(([name]) => BUFFER_SETTING.test(name));
  return settings.map(([name, value]) => ({
    path: `/proc/sys/${name.replaceAll('.', '/')}`,
    value: value ?? '',
  }));
}
