/* Generated from the compiled objects by `npm run gen`; not to be edited. */

/** The programs of each object `build/bpf/<object>.bpf.o`, and their sections. */
export const PROGRAMS = {
} as const;
export type ObjectName = keyof typeof PROGRAMS;
