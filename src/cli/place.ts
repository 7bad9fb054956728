/** Where in a person's files something was written: `file:line`, or only the file's own name where room is short. */
interface Placed {
  readonly file?: string;
  readonly line?: number;
}

/** `/etc/merlon/manifests.d/a.yaml:3`; empty when nobody wrote it. */
export function place({ file, line }: Placed): string {
  return file === undefined ? '' : `${file}:${line ?? 1}`;
}

/** `a.yaml:3`. */
export function shortPlace({ file, line }: Placed): string {
  return file === undefined ? '' : `${file.slice(file.lastIndexOf('/') + 1)}:${line ?? 1}`;
}

/** Rules with their places, as one cell. */
export function rulesText(
  rules: readonly ({ readonly id: string } & Placed)[],
  placeOf: (placed: Placed) => string,
): string {
  return rules.map((r) => (r.file === undefined ? r.id : `${r.id} (${placeOf(r)})`)).join(', ');
}
