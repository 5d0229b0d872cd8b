import { once } from 'node:events';
import { createServer } from 'node:net';
import { createLogger } from './log/logger.ts';
import { runService } from './service.ts';
import { ConfigError } from './settings/environment.ts';

/** A service that a test runs as a process of its own; the argument says how it behaves. */
const behaviour = process.argv[2];
const logger = createLogger({ name: 'fixture', level: 'info' });

await runService({
  name: 'fixture',
  // Only those that never end reach it.
  stopDeadlineMs: behaviour?.startsWith('endless') ? 300 : 30_000,
  async main(lifecycle) {
    if (behaviour === 'config-error') throw new ConfigError(['PORT: wrong', 'HOST: wrong']);
    if (behaviour === 'start-error') throw new Error('port 8080 is in use; set PORT to another');
    const holdsTheLoop = createServer().listen(0, '127.0.0.1');
    logger.info('starting');
    if (behaviour === 'slow-start') await once(process, 'SIGTERM');
    if (behaviour === 'endless-start') await new Promise(() => undefined);
    logger.info('started');
    if (behaviour === 'requests-drain') lifecycle.requestDrain();
    if (behaviour === 'requests-long-drain') setImmediate(lifecycle.requestDrain);
    if (behaviour === 'rejection') void Promise.reject(new Error('nobody cares'));
    if (behaviour === 'exception') {
      setImmediate(() => {
        throw new Error('nobody catches');
      });
    }
    return {
      async drain(hurry) {
        logger.info('drain begun');
        if (behaviour === 'failing-drain') throw new Error('cannot drain');
        if (behaviour !== 'long-drain' && behaviour !== 'requests-long-drain') return;
        await new Promise<void>((resolve) => {
          hurry.addEventListener('abort', () => resolve());
        });
        logger.info('drain cut short');
      },
      async stop() {
        logger.info('stop begun');
        if (behaviour === 'failing-stop') throw new Error('cannot stop');
        if (behaviour === 'endless-stop') return;
        holdsTheLoop.close();
      },
    };
  },
});
