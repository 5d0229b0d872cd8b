/**
 * Computes the table of the edge's house, for this workspace and for each other one that is named:
 *
 *     npx node infra/dev/src/checks/measure-house.ts [--files] [PATH…]
 *
 * PATH is the root of another installed checkout. `--files` also lists the files that a publication crosses.
 *
 * Entries are what `ls services/edge/src` shows. Files are those which are not for tests. Floors are the nodes of the longest
 * chain of imports, in which each imports the next, types included; a circle counts as one node. A file beside the
 * rooms is a room of its own. An arrow is upward when `import-rules.ts` does not have it. A consumer of a file is
 * another file of the edge that imports it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { WORKSPACE_ROOT } from '../processes/service-process.ts';
import { crossedFiles } from './crossed-files.ts';
import {
  circlesOf,
  floorsOf,
  graphOfFiles,
  graphOfRooms,
  type HouseFile,
  isForTests,
  upwardArrows,
  withOneConsumer,
} from './house-graph.ts';
import { ROOMS } from './import-rules.ts';

const EDGE = 'services/edge/src';

/** What a checkout without rooms has of what only rooms have. */
const NONE = '-';

/** One checkout's column: for each row its value. */
function measureFiles(root: string): Map<string, number | string> {
  const folder = join(root, EDGE);
  const all = readFiles(folder);
  const sources = all.filter(({ path }) => !isForTests(path));
  const tests = all.filter(({ path }) => isForTests(path));
  const files = graphOfFiles(sources);
  const rooms = graphOfRooms(files);
  const hasRooms = sources.some(({ path }) => path.includes('/'));
  const ofRooms = (value: number): number | string => (hasRooms ? value : NONE);
  return new Map<string, number | string>([
    [`entries in ${EDGE}`, readdirSync(folder).length],
    ['files', sources.length],
    ['floors of imports, files', floorsOf(files)],
    ['floors of imports, rooms', ofRooms(floorsOf(rooms))],
    ['arrows upward', ofRooms(upwardArrows(rooms, ROOMS[EDGE] ?? {}).length)],
    ['circles of files', circlesOf(files).length],
    ['circles of rooms', ofRooms(circlesOf(rooms).length)],
    ['files with one consumer', withOneConsumer(files).length],
    ['lines of source', linesOf(sources)],
    ['lines of tests', linesOf(tests)],
  ]);
}

function readFiles(folder: string): readonly HouseFile[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => ({ path, text: readFileSync(join(folder, path), 'utf8') }));
}

function linesOf(files: readonly HouseFile[]): number {
  return files.reduce((sum, { text }) => sum + text.trimEnd().split('\n').length, 0);
}

const args = process.argv.slice(2);
const others = args.filter((arg) => arg !== '--files').map((path) => resolve(path));
const roots = [...others, resolve(WORKSPACE_ROOT)];
const columns: Map<string, number | string>[] = [];
const crossings: (readonly string[])[] = [];
for (const root of roots) {
  const crossed = await crossedFiles(root);
  crossings.push(crossed);
  columns.push(measureFiles(root).set('files that a publication crosses', crossed.length));
}
const rows = [...(columns[0] as Map<string, number | string>).keys()];
const width = Math.max(...rows.map((row) => row.length));
const labels = others.length === 0 ? ['here'] : [...others, 'here'];
const widths = labels.map((label) => Math.max(8, label.length));
const line = (title: string, cells: readonly (number | string)[]): string =>
  [title.padEnd(width), ...cells.map((cell, i) => String(cell).padStart(widths[i] as number))].join(
    '  ',
  );
console.log(line('', labels));
for (const row of rows) {
  console.log(
    line(
      row,
      columns.map((column) => column.get(row) as number | string),
    ),
  );
}
if (args.includes('--files')) {
  for (const [i, files] of crossings.entries()) {
    console.log(
      `\n${labels[i]}: a publication crosses\n${files.map((file) => `  ${file}`).join('\n')}`,
    );
  }
}
