import { readFileSync } from 'node:fs';
import { type UnknownVariable, unknownVariables } from './unknown-variables.ts';

/** The variables of a process, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The form that a value must have. The message says "must be <description>". */
export interface AllowedForm {
  readonly pattern: RegExp;
  readonly description: string;
}

/** The highest TCP port. */
const MAX_PORT = 65_535;

const DECIMAL_INTEGER = /^(0|-?[1-9][0-9]*)$/;

/** The environment holds mistakes. One error names all of them, so that one restart repairs them. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  /** One line for each mistake: the variable, its value (secrets excepted) and what is allowed. */
  readonly mistakes: readonly string[];
  /** What {@link EnvironmentReader.unknown} found: it may be a wrong setting's right name, misspelt. */
  readonly unknownVariables: readonly UnknownVariable[];

  constructor(mistakes: readonly string[], unknownVariables: readonly UnknownVariable[] = []) {
    super(`the configuration has mistakes:\n${mistakes.join('\n')}`);
    this.mistakes = mistakes;
    this.unknownVariables = unknownVariables;
  }
}

/**
 * Reads typed settings from environment variables. An empty variable counts as unset. When a value is not allowed,
 * the reader notes a mistake and returns the default, so that it finds every mistake; {@link readConfig} throws them
 * together.
 */
export class EnvironmentReader {
  readonly #environment: Environment;
  readonly #mistakes: string[] = [];
  /** The variables that were read so far. */
  readonly #known = new Set<string>();
  #unknown: readonly UnknownVariable[] = [];

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** The mistakes so far, one line each. */
  get mistakes(): readonly string[] {
    return this.#mistakes;
  }

  /**
   * The variables that begin like ours and were not read so far: misspelt, or of another release. It must be the last
   * call.
   *
   * @param prefixes the beginnings of our names.
   */
  unknown(prefixes: readonly string[]): readonly UnknownVariable[] {
    this.#unknown = unknownVariables(this.#environment, prefixes, [...this.#known]);
    return this.#unknown;
  }

  /** What {@link unknown} found; nothing before that call. */
  get unknownVariables(): readonly UnknownVariable[] {
    return this.#unknown;
  }

  /** Whether the variable is set and not empty. */
  isSet(name: string): boolean {
    return this.#value(name) !== undefined;
  }

  /** A text, of the allowed form if one is given. */
  string(
    name: string,
    options: { readonly default: string; readonly allowed?: AllowedForm },
  ): string {
    return this.optionalString(name, options) ?? options.default;
  }

  /** Like {@link string}. Undefined when it is unset. */
  optionalString(
    name: string,
    options: { readonly allowed?: AllowedForm } = {},
  ): string | undefined {
    const value = this.#value(name);
    if (value === undefined) return undefined;
    if (options.allowed !== undefined && !options.allowed.pattern.test(value)) {
      this.#mustBe(name, value, options.allowed.description);
      return undefined;
    }
    return value;
  }

  /** One of a few words. */
  choice<Choice extends string>(
    name: string,
    options: { readonly default: Choice; readonly choices: readonly Choice[] },
  ): Choice {
    const value = this.#value(name);
    if (value === undefined) return options.default;
    const choice = options.choices.find((candidate) => candidate === value);
    if (choice === undefined) this.#mustBe(name, value, `one of ${options.choices.join(', ')}`);
    return choice ?? options.default;
  }

  /** `true` or `false`. */
  boolean(name: string, options: { readonly default: boolean }): boolean {
    const choices = ['false', 'true'] as const;
    return this.choice(name, { default: options.default ? 'true' : 'false', choices }) === 'true';
  }

  /** A decimal integer from `min` to `max`, both included, without exponent, `+` or spaces. */
  integer(
    name: string,
    options: { readonly default: number; readonly min: number; readonly max: number },
  ): number {
    const value = this.#value(name);
    if (value === undefined) return options.default;
    const number = DECIMAL_INTEGER.test(value) ? Number(value) : Number.NaN;
    if (number >= options.min && number <= options.max) return number;
    this.#mustBe(name, value, `an integer from ${options.min} to ${options.max}`);
    return options.default;
  }

  /** A TCP port. 0 lets the system choose a free one. */
  port(name: string, options: { readonly default: number }): number {
    return this.integer(name, { default: options.default, min: 0, max: MAX_PORT });
  }

  /** Comma-separated entries, without the space around them and without empty entries. */
  list(
    name: string,
    options: { readonly default: readonly string[]; readonly allowed?: AllowedForm },
  ): readonly string[] {
    const value = this.#value(name);
    if (value === undefined) return options.default;
    const entries = splitList(value);
    for (const entry of entries) {
      if (options.allowed !== undefined && !options.allowed.pattern.test(entry)) {
        this.#mustBe(name, entry, options.allowed.description);
      }
    }
    return entries;
  }

  /** A secret. Like {@link optionalString}, but no message shows its value. */
  secret(name: string): string | undefined {
    return this.#value(name);
  }

  /** Comma-separated secrets. No message shows them. */
  secretList(name: string): readonly string[] {
    return splitList(this.#value(name) ?? '');
  }

  /** The UTF-8 contents of the file that the variable names. Undefined when it names none. */
  fileContents(name: string): string | undefined {
    return this.fileBytes(name)?.toString();
  }

  /** As {@link fileContents}, of a file that need not be text. */
  fileBytes(name: string): Buffer | undefined {
    const path = this.#value(name);
    if (path === undefined) return undefined;
    try {
      const contents = readFileSync(path);
      if (contents.toString().trim() !== '') return contents;
      this.reject(name, `the file ${JSON.stringify(path)} is empty`);
    } catch (error) {
      const cause = (error as NodeJS.ErrnoException).code ?? String(error);
      this.reject(name, `the file ${JSON.stringify(path)} cannot be read (${cause})`);
    }
    return undefined;
  }

  /**
   * Notes a mistake that shows only when several variables are compared.
   *
   * @param message what is wrong and what would be right. It must not hold a secret.
   */
  reject(name: string, message: string): void {
    this.#mistakes.push(`${name}: ${message}`);
  }

  #mustBe(name: string, value: string, description: string): void {
    this.reject(name, `${JSON.stringify(value)} must be ${description}`);
  }

  #value(name: string): string | undefined {
    this.#known.add(name);
    const value = this.#environment[name];
    return value === '' ? undefined : value;
  }
}

/**
 * Reads a configuration and checks it.
 *
 * @param read reads the settings. It may also call `reject` for checks across settings.
 * @throws ConfigError with every mistake.
 */
export function readConfig<Config>(
  environment: Environment,
  read: (environment: EnvironmentReader) => Config,
): Config {
  const reader = new EnvironmentReader(environment);
  const config = read(reader);
  if (reader.mistakes.length > 0) throw new ConfigError(reader.mistakes, reader.unknownVariables);
  return config;
}

function splitList(value: string): readonly string[] {
  return value
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}
