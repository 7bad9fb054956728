/** What the agent is started with: the options of `merlon agent`. */
export interface AgentOptions {
  readonly configFile: string;
  /** Whether somebody named the file; a default path may be missing. */
  readonly isConfigNamed: boolean;
  readonly stateDir: string;
  readonly runDir: string;
  readonly bpfRoot: string;
  readonly cgroupRoot: string | undefined;
  readonly isForeground: boolean;
  readonly signal: AbortSignal;
}
