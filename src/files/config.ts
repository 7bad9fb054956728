/** The node's configuration from its files: `merlon.yaml` and `merlon.d/*.yaml` beside it, in lexical order. */
import { dirname, join } from 'node:path';
import { MerlonError } from '#kit/errors';
import { type ConfigResult, type ConfigText, readNodeConfig } from '#model/config';
import { type FileSystem, nodeFileSystem, systemCode } from './filesystem.ts';
import { type Owner, trustFault } from './trust.ts';

const MAX_CONFIG_BYTES = 1024 * 1024;

/** Where the configuration is, and who may have written it. */
export interface ConfigFilesOptions {
  /** The main file. */
  readonly file: string;
  /** A missing main file means defaults instead of an error; for the default path. */
  readonly isOptional: boolean;
  readonly agent: Owner;
  readonly fs?: FileSystem;
}

/** The texts, main file first. Errors: CONFIG_UNREADABLE. */
export async function readConfigTexts(options: ConfigFilesOptions): Promise<readonly ConfigText[]> {
  const fs = options.fs ?? nodeFileSystem;
  const files = [options.file];
  const directory = join(dirname(options.file), 'merlon.d');
  const names = await fs.list(directory).catch((e: unknown) => {
    if (systemCode(e) === 'ENOENT') return [];
    throw unreadable(directory, e);
  });
  for (const { name, isDirectory } of [...names].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (!isDirectory && /^[^.#].*\.(yaml|yml|json)$/.test(name)) files.push(join(directory, name));
  }
  const texts: ConfigText[] = [];
  for (const [i, file] of files.entries()) {
    const text = await readText(fs, file, options.agent, i === 0 && options.isOptional);
    if (text !== undefined) texts.push({ file, text });
  }
  return texts;
}

/** The configuration that the files make, or all that is wrong with them. Errors: CONFIG_UNREADABLE. */
export async function loadNodeConfig(options: ConfigFilesOptions): Promise<ConfigResult> {
  return readNodeConfig(await readConfigTexts(options));
}

async function readText(
  fs: FileSystem,
  file: string,
  agent: Owner,
  isOptional: boolean,
): Promise<string | undefined> {
  try {
    const { stat, bytes } = await fs.read(file, MAX_CONFIG_BYTES);
    const fault = trustFault(file, stat, agent);
    if (fault !== undefined) {
      throw new MerlonError('CONFIG_UNREADABLE', fault.message, { at: { file }, hint: fault.hint });
    }
    if (stat.kind !== 'file')
      throw new MerlonError('CONFIG_UNREADABLE', 'it is no regular file', { at: { file } });
    if (bytes === undefined) {
      const message = `the file has ${stat.size} bytes, the limit is ${MAX_CONFIG_BYTES}`;
      throw new MerlonError('CONFIG_UNREADABLE', message, {
        at: { file },
        hint: 'a NodeConfig is a few lines',
      });
    }
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (e) {
    if (isOptional && systemCode(e) === 'ENOENT') return undefined;
    throw e instanceof MerlonError ? e : unreadable(file, e);
  }
}

function unreadable(file: string, e: unknown): MerlonError {
  const reason = e instanceof TypeError ? 'it is not UTF-8 text' : e instanceof Error ? e.message : String(e);
  return new MerlonError('CONFIG_UNREADABLE', `the configuration cannot be read: ${reason}`, {
    cause: e,
    at: { file },
  });
}
