/** One thing that an object variable is made of. */
export interface Field {
  /** The way to it from the variable: `balancer.kind`; `[]` for a list's elements, `.*` for a map's. */
  readonly path: string;
  /** A type without what lies deeper: `object`, `list(string)`. */
  readonly type: string;
  /** As the code has it; undefined where the field is required. */
  readonly default: string | undefined;
}

/** A variable's type in short, and its fields, at any depth, in the order of the code. */
export interface VariableType {
  readonly type: string;
  readonly fields: readonly Field[];
}

/** Reads a type constraint, as it stands behind `type =`. Throws when it is none. */
export function readVariableType(text: string): VariableType {
  const tokens = (text.match(TOKEN) ?? []).filter((token) => !/^(#|\/\/)/.test(token));
  const reader = new TypeReader(tokens);
  const { short, fields } = reader.type();
  if (!reader.isAtEnd) throw new Error(`not a type: ${text}`);
  return { type: short, fields };
}

/** A string, a comment, a word or number, or a sign. */
const TOKEN = /"(?:[^"\\]|\\.)*"|(?:#|\/\/).*$|[\w.-]+|[^\s\w]/gm;

const COLLECTIONS: Readonly<Record<string, string>> = { list: '[]', set: '[]', map: '.*' };

interface Parsed {
  readonly short: string;
  readonly fields: readonly Field[];
}

class TypeReader {
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#tokens.length;
  }

  type(): Parsed {
    const word = this.#next();
    if (word === 'object') return this.#object();
    const step = COLLECTIONS[word];
    if (step === undefined) return { short: word, fields: [] };
    this.#expect('(');
    const element = this.type();
    this.#expect(')');
    const fields = element.fields.map((field) => ({ ...field, path: joined(step, field.path) }));
    return { short: `${word}(${element.short})`, fields };
  }

  #object(): Parsed {
    const fields: Field[] = [];
    this.#expect('(');
    this.#expect('{');
    while (!this.#take('}')) {
      const name = this.#next();
      this.#expect('=');
      const isOptional = this.#take('optional');
      if (isOptional) this.#expect('(');
      const { short, fields: deeper } = this.type();
      const fallback = isOptional ? this.#fallback() : undefined;
      fields.push({ path: name, type: short, default: fallback });
      fields.push(...deeper.map((field) => ({ ...field, path: joined(name, field.path) })));
      this.#take(',');
    }
    this.#expect(')');
    return { short: 'object', fields };
  }

  /** What stands behind the comma of `optional(type, default)`, up to its end. */
  #fallback(): string {
    if (this.#take(')')) return 'null';
    this.#expect(',');
    const words: string[] = [];
    for (let depth = 0; depth > 0 || this.#tokens[this.#at] !== ')'; ) {
      const token = this.#next();
      if ('([{'.includes(token)) depth += 1;
      if (')]}'.includes(token)) depth -= 1;
      words.push(token);
    }
    this.#expect(')');
    return spelled(words);
  }

  #next(): string {
    const token = this.#tokens[this.#at];
    if (token === undefined) throw new Error('a type ends too early');
    this.#at += 1;
    return token;
  }

  #take(token: string): boolean {
    if (this.#tokens[this.#at] !== token) return false;
    this.#at += 1;
    return true;
  }

  #expect(token: string): void {
    if (!this.#take(token)) throw new Error(`${token} is missing before ${this.#tokens[this.#at]}`);
  }
}

function joined(step: string, rest: string): string {
  return rest.startsWith('[') || rest.startsWith('.') ? step + rest : `${step}.${rest}`;
}

/** `["a", "b"]`, `{ a = 1 }`, `{}`. */
function spelled(words: readonly string[]): string {
  return words
    .join(' ')
    .replace(/\[ /g, '[')
    .replace(/ \]/g, ']')
    .replace(/ ,/g, ',')
    .replace(/\{ \}/g, '{}');
}
