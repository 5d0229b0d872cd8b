import { isPortFree } from '../processes/free-port.ts';
import { UsageError } from './settings.ts';

/**
 * Rejects with one line for each port that something else listens on, and the setting that moves
 * it, before anything is started.
 */
export async function mustHaveFreePorts(ports: Readonly<Record<string, number>>): Promise<void> {
  const complaints: string[] = [];
  for (const [setting, port] of Object.entries(ports)) {
    if (!(await isPortFree(port))) {
      complaints.push(`port ${port} is in use; set ${setting} to a free one`);
    }
  }
  if (complaints.length > 0) throw new UsageError(complaints.join('\n'));
}
