/** The agent's logger: JSON lines to stdout for journald, or short lines for people. */
import { type Logger, pino } from 'pino';

const LEVEL_NAMES: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'ERROR',
  60: 'FATAL',
};

export function agentLogger(isForeground: boolean): Logger {
  if (!isForeground) return pino({ base: null });
  return pino({ base: null }, { write: (line: string) => void process.stderr.write(peopleLine(line)) });
}

/** `12:00:01.234 warn  sentence  key=value …` */
function peopleLine(json: string): string {
  const { time, level, msg, err, ...rest } = JSON.parse(json) as Record<string, unknown>;
  const clock = new Date(Number(time)).toISOString().slice(11, 23);
  const fields = Object.entries(rest).map(
    ([k, v]) => `${k}=${typeof v === 'string' ? v : JSON.stringify(v)}`,
  );
  const why =
    typeof err === 'object' && err !== null && 'message' in err ? [`err=${String(err.message)}`] : [];
  const words = [clock, (LEVEL_NAMES[Number(level)] ?? '').padEnd(5), String(msg), ...fields, ...why];
  return `${words.join(' ')}\n`;
}
