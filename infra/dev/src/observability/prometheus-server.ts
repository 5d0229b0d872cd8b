import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installOnDebian } from '../processes/debian.ts';
import { findProgram } from '../processes/find-program.ts';
import { findFreePort } from '../processes/free-port.ts';
import { type OwnedProcess, startProcess } from '../processes/owned-process.ts';

/** How long a Prometheus without data may take to answer, in ms; it needs about 200. */
const READY_DEADLINE_MS = 20_000;

/** The line with which Prometheus says that it serves. */
const READY_LINE = 'Server is ready to receive web requests';

/** The advice for somebody without a Prometheus. */
export const HOW_TO_INSTALL_PROMETHEUS =
  'no promtool or prometheus on the PATH (Debian, Ubuntu: sudo apt-get install prometheus)';

/** The programs of Debian's `prometheus` package. */
export interface PrometheusPrograms {
  readonly prometheus: string;
  readonly promtool: string;
}

/** The paths of `prometheus` and `promtool` on the PATH, or undefined unless both are there. */
export async function findPrometheus(): Promise<PrometheusPrograms | undefined> {
  const prometheus = await findProgram(['prometheus']);
  const promtool = await findProgram(['promtool']);
  return prometheus && promtool ? { prometheus, promtool } : undefined;
}

/** The same; as root on Debian, installed by apt when they are not there. */
export async function bringPrometheus(
  report: (line: string) => void,
): Promise<PrometheusPrograms | undefined> {
  const found = await findPrometheus();
  if (found !== undefined) return found;
  return (await installOnDebian(['prometheus'], report)) ? await findPrometheus() : undefined;
}

/** A running Prometheus that this process started. */
export interface PrometheusServer extends OwnedProcess {
  /** Where it answers, e.g. `http://127.0.0.1:20123`. */
  readonly url: string;
}

/**
 * Starts a Prometheus with a configuration file and resolves when it answers. What it scrapes is
 * kept in a temporary folder that is removed when it ends. Rejects with the end of its log.
 */
export async function startPrometheus(
  program: string,
  configurationFile: string,
): Promise<PrometheusServer> {
  const folder = await mkdtemp(join(tmpdir(), 'tradewind-prometheus-'));
  const removeFolder = () => rm(folder, { recursive: true, force: true });
  const address = `127.0.0.1:${await findFreePort()}`;
  let server: OwnedProcess;
  try {
    server = await startProcess({
      name: 'prometheus',
      command: program,
      args: [
        `--config.file=${configurationFile}`,
        `--storage.tsdb.path=${folder}`,
        `--web.listen-address=${address}`,
      ],
      env: process.env,
      cwd: folder,
    });
  } catch (error) {
    await removeFolder();
    throw error;
  }
  server.exited.then(removeFolder).catch(() => {});
  try {
    await server.waitForLine(
      (line) => (line.includes(READY_LINE) ? true : undefined),
      READY_DEADLINE_MS,
    );
  } catch (error) {
    await server.stop(0);
    throw error;
  }
  return { ...server, url: `http://${address}` };
}
