import type { HclBlock, HclModule } from './hcl.ts';
import { readVariableType } from './variable-type.ts';

/** Stand around the part of a README that is made from the code. */
const BEGIN = '<!-- made from the code: npx node test/terraform/write-readmes.ts -->';
const END = '<!-- end -->';

/** The inputs and outputs of a module as Markdown, as its README holds them. */
export function interfaceText({ variables, outputs }: HclModule): string {
  const inputs = Object.entries(variables).sort(byName);
  const results = Object.entries(outputs).sort(byName);
  return [
    BEGIN,
    '## Inputs',
    '',
    '| name | type | default | description |',
    '|---|---|---|---|',
    ...inputs.flatMap(([name, block]) => variableRows(name, block)),
    '',
    '## Outputs',
    '',
    '| name | description |',
    '|---|---|',
    ...results.map(([name, block]) => `| \`${name}\` | ${cell(block.description)} |`),
    END,
  ].join('\n');
}

/** `readme` with the part between the marks replaced. Throws when it has no marks. */
export function withInterface(readme: string, text: string): string {
  const from = readme.indexOf(BEGIN);
  const to = readme.indexOf(END);
  if (from < 0 || to < from) throw new Error(`the README lacks the marks ${BEGIN} and ${END}`);
  return readme.slice(0, from) + text + readme.slice(to + END.length);
}

function byName([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1;
}

/** A row for the variable, and one for each field that it is made of. */
function variableRows(name: string, block: HclBlock): string[] {
  const { type, fields } = readVariableType(String(block.type).replace(/^\$\{|\}$/g, ''));
  return [
    `| \`${name}\` | \`${type}\` | ${defaultText(block)} | ${cell(block.description)} |`,
    ...fields.map(({ path, type: fieldType, default: fallback }) => {
      const way = path.startsWith('.') || path.startsWith('[') ? path : `.${path}`;
      const value = fallback === undefined ? 'required' : `\`${cell(fallback)}\``;
      return `| \`${name}${way}\` | \`${fieldType}\` | ${value} | |`;
    }),
  ];
}

function defaultText(block: HclBlock): string {
  if (!('default' in block)) return 'required';
  return `\`${JSON.stringify(block.default)}\``;
}

function cell(text: unknown): string {
  return String(text).replace(/\|/g, '\\|');
}
