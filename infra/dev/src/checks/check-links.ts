import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';

/** Folders, by name, that hold what was installed, built or measured. */
const NOT_OURS = ['.git', '.terraform', 'coverage', 'dist', 'node_modules', 'results', 'tmp'];
/** The folder at the root into which `npm run release` writes. */
const RELEASES = 'release';
/** The folder whose paths `npm test` takes by their beginning: `test/integration/edge/workers`. */
const TESTS = 'test/';

const FENCE = /^\s*(`{3,}|~{3,})/;
const HEADING = /^#{1,6}\s+(.*?)\s*#*$/;
const CODE_SPAN = /(`+)(.+?)\1/g;
const LINK_TARGETS = [
  /\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)/g,
  /^\s*\[[^\]]+\]:\s+(\S+)/g,
  /(?:src|href)="([^"]+)"/g,
];
/** A scheme (`https:`), or a host alone (`//host`): it leads out of the repository. */
const LEADS_OUT = /^(?:[a-z][a-z0-9+.-]*:|\/\/)/i;
/**
 * A path in code. What has a placeholder in it (`*`, `…`, `<name>`, `{a,b}`) is none, nor what begins with a dot: only the
 * command around it knows the folder that it begins in.
 */
const PATH = /^\w[\w.@-]*(?:\/[\w.@-]+)*\/?$/;
/** Endings of files that documents name by the end of their path: `hub/hub.ts` in the tour of an edge. */
const NAMED_BY_THEIR_END = /\/[\w.-]+\.(?:acl|conf|lua|md|mjs|sh|tf|tftpl|ts|yml)$/;

/** What a document may lead to. */
interface Tree {
  /** Every file, by its path from the root. */
  readonly files: ReadonlySet<string>;
  /** Every folder that holds one of them, without a slash at its end. The root is the empty path. */
  readonly folders: ReadonlySet<string>;
  /** The anchors of each Markdown file, as GitHub makes them. */
  readonly anchors: ReadonlyMap<string, ReadonlySet<string>>;
}

/** A line of a document, with its number from 1. Code has no links, and a fence's whole line is code. */
interface DocumentLine {
  readonly number: number;
  readonly prose: string;
  readonly code: readonly string[];
  /** The title, with its marks, if the line is a heading. */
  readonly heading: string | undefined;
}

/**
 * Checks the links of all Markdown files under `root`, and the paths that stand in them as code. Returns one line for each
 * that leads nowhere: a relative link to no file or folder, an anchor that no heading of its page has, and a path in
 * code that begins in a folder of the repository, or of the document, and ends at nothing.
 * It reads no link that leads out of the repository.
 */
export async function findLinkFaults(root: string): Promise<string[]> {
  const files = await filesUnder(root, '');
  const documents = await Promise.all(
    files
      .filter((file) => file.endsWith('.md'))
      .map(async (path) => ({ path, text: await readFile(join(root, path), 'utf8') })),
  );
  const tree = {
    files: new Set(files),
    folders: new Set(files.flatMap(foldersAbove)),
    anchors: new Map(documents.map(({ path, text }) => [path, anchorsOf(text)])),
  };
  return documents.flatMap(({ path, text }) =>
    linesOf(text).flatMap((line) =>
      faultsOfLine(line, path, tree).map((fault) => `${path}:${line.number}: ${fault}`),
    ),
  );
}

async function filesUnder(root: string, folder: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { withFileTypes: true });
  const found = entries.map(async (entry): Promise<string[]> => {
    const path = join(folder, entry.name);
    if (!entry.isDirectory()) return [path];
    return NOT_OURS.includes(entry.name) || path === RELEASES ? [] : await filesUnder(root, path);
  });
  return (await Promise.all(found)).flat();
}

function foldersAbove(file: string): string[] {
  const parts = file.split('/');
  return parts.map((_, depth) => parts.slice(0, depth).join('/'));
}

function linesOf(text: string): DocumentLine[] {
  let fence: string | undefined;
  return text.split('\n').map((line, index) => {
    const number = index + 1;
    const mark = FENCE.exec(line)?.[1];
    const fenced = fence !== undefined || mark !== undefined;
    if (mark !== undefined && fence === undefined) fence = mark;
    else if (mark !== undefined && fence !== undefined && mark.startsWith(fence)) fence = undefined;
    if (fenced) return { number, prose: '', code: [line], heading: undefined };
    const code = [...line.matchAll(CODE_SPAN)].map(([, , span]) => span ?? '');
    return {
      number,
      prose: line.replaceAll(CODE_SPAN, ''),
      code,
      heading: HEADING.exec(line)?.[1],
    };
  });
}

function faultsOfLine({ prose, code }: DocumentLine, document: string, tree: Tree): string[] {
  const targets = LINK_TARGETS.flatMap((pattern) =>
    [...prose.matchAll(pattern)].map(([, target]) => target ?? ''),
  );
  const broken = targets.filter((target) => !leadsSomewhere(target, document, tree));
  const words = code.flatMap((span) => span.split(/[\s'"=,;()]+/));
  const missing = words.filter(
    (word) => isPath(word, document, tree) && !isThere(word, document, tree),
  );
  return [
    ...broken.map((target) => `the link ${target}`),
    ...missing.map((path) => `\`${path}\``),
  ].map((what) => `${what} leads nowhere`);
}

function leadsSomewhere(
  target: string,
  document: string,
  { files, folders, anchors }: Tree,
): boolean {
  if (LEADS_OUT.test(target)) return true;
  const [path = '', anchor] = target.split('#');
  const file = path === '' ? document : fromFolder(dirname(document), path);
  if (!files.has(file) && !folders.has(file)) return false;
  return anchor === undefined || (anchors.get(file)?.has(anchor) ?? true);
}

/** Whether a word in code means a file or folder of the repository. */
function isPath(word: string, document: string, { folders }: Tree): boolean {
  if (!PATH.test(word) || !word.includes('/')) return false;
  if (word.startsWith(`${RELEASES}/`)) return false;
  const [first = ''] = word.split('/');
  if (NOT_OURS.includes(first) || NOT_OURS.some((name) => word.includes(`/${name}/`))) return false;
  return (
    folders.has(first) ||
    folders.has(fromFolder(dirname(document), first)) ||
    NAMED_BY_THEIR_END.test(word)
  );
}

/** Whether a path is there from the root or from the document's folder, or begins or ends one, where that is how it is named. */
function isThere(word: string, document: string, { files, folders }: Tree): boolean {
  const paths = [fromFolder('', word), fromFolder(dirname(document), word)];
  if (paths.some((path) => files.has(path) || folders.has(path))) return true;
  if (word.startsWith(TESTS) && [...files].some((file) => file.startsWith(word))) return true;
  const end = `/${normalize(word)}`;
  return NAMED_BY_THEIR_END.test(word) && [...files].some((file) => file.endsWith(end));
}

/** A path from the root, without a slash at its end. One that leads out of the root begins with `..`. */
function fromFolder(folder: string, path: string): string {
  const joined = join(folder, path).replace(/\/$/, '');
  return joined === '.' ? '' : joined;
}

/**
 * The anchors that GitHub gives the headings of a page: lower case, letters, digits, `_` and `-` only, `-` for each space, and
 * a number after each repeated one.
 */
export function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const { heading } of linesOf(text)) {
    if (heading === undefined) continue;
    const slug = heading
      .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, '')
      .replaceAll(' ', '-');
    let anchor = slug;
    for (let count = 1; anchors.has(anchor); count += 1) anchor = `${slug}-${count}`;
    anchors.add(anchor);
  }
  return anchors;
}
