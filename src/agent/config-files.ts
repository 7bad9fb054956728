/** The configuration files of the node, as the agent reads them at start and at each reload. */
import { loadNodeConfig } from '#files';
import type { Warning } from '#model';
import { errorFromProblem, type NodeConfig } from '#model/config';

export class ConfigFiles {
  readonly #file: string;
  readonly #isOptional: boolean;
  #warnings: readonly Warning[] = [];

  constructor(file: string, isOptional: boolean) {
    this.#file = file;
    this.#isOptional = isOptional;
  }

  /** Warnings of the configuration that was read last. */
  get warnings(): readonly Warning[] {
    return this.#warnings;
  }

  /** Reads and judges all files. Throws the first problem, with its place. */
  async read(): Promise<NodeConfig> {
    const agent = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    const { config, problems, warnings } = await loadNodeConfig({
      file: this.#file,
      isOptional: this.#isOptional,
      agent,
    });
    const [first] = problems;
    if (first !== undefined) throw errorFromProblem(first);
    if (config === undefined) throw new Error('a configuration without problems exists');
    this.#warnings = warnings;
    return config;
  }
}
