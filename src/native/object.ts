/** BPF objects: open, adjust, load, close. */
import {
  addon,
  type Fd,
  type Obj,
  type ObjectMap,
  type ObjectProgram,
  type ObjectVariable,
} from './addon.ts';

/**
 * Opens a compiled object: reads the file, touches nothing in the kernel. {@link closeObject} ends it.
 * Errors: `ENOENT`, `EINVAL`/`LIBBPF…` with libbpf's own words in the message.
 */
export function openObject(path: string): Obj {
  return addon().openObject(path);
}

/** Closes the object and its descriptors. What is pinned, attached or duplicated stays. */
export function closeObject(object: Obj): void {
  addon().closeObject(object);
}

/** The object's maps in their present, adjusted sizes; also those made by the compiler. */
export function objectMaps(object: Obj): readonly ObjectMap[] {
  return addon().objectMaps(object);
}

/** The object's programs. Types follow the section names as libbpf 1.1 knows them. */
export function objectPrograms(object: Obj): readonly ObjectProgram[] {
  return addon().objectPrograms(object);
}

/** Where each global variable lies inside its section's map, from the object's BTF. */
export function objectVariables(object: Obj): readonly ObjectVariable[] {
  return addon().objectVariables(object);
}

/** Sets a map's number of entries. Before load. */
export function setMapMaxEntries(object: Obj, map: string, count: number): void {
  addon().setMapMaxEntries(object, map, count);
}

/** Sets a map's value size; its BTF is dropped then. Before load. */
export function setMapValueSize(object: Obj, map: string, size: number): void {
  addon().setMapValueSize(object, map, size);
}

/** Sets a map's BPF_F_* flags. Before load. */
export function setMapFlags(object: Obj, map: string, flags: number): void {
  addon().setMapFlags(object, map, flags);
}

/** Whether loading creates the map; a program that names one left out does not load. Before load. */
export function setMapAutocreate(object: Obj, map: string, isCreated: boolean): void {
  addon().setMapAutocreate(object, map, isCreated);
}

/** Takes an existing map, of equal layout, in place of a new one; `fd` stays the caller's. Before load. */
export function reuseMap(object: Obj, map: string, fd: Fd): void {
  addon().reuseMap(object, map, fd);
}

/** Sets the pattern of the maps inside a map of maps; it must live until the load. Before load. */
export function setInnerMap(object: Obj, map: string, fd: Fd): void {
  addon().setInnerMap(object, map, fd);
}

/**
 * The contents that a global-data map (`.rodata`, `.data`, `.bss`) will have when loaded. Write into the
 * buffer before load; later writes reach nobody. Ignored for a map that is reused: it has its contents.
 */
export function mapInitialValue(object: Obj, map: string): ArrayBuffer {
  return addon().mapInitialValue(object, map);
}

/** Whether loading loads the program. Before load. */
export function setAutoload(object: Obj, program: string, isLoaded: boolean): void {
  addon().setAutoload(object, program, isLoaded);
}

/** Sets type and expected attach type of a program whose section name does not tell. Before load. */
export function setProgramType(object: Obj, program: string, type: number, expectedAttachType: number): void {
  addon().setProgramType(object, program, type, expectedAttachType);
}

/** Bits of `logLevel`: what the verifier writes down. */
export const LOG_PATHS = 1;
/** Every state of every path: megabytes. */
export const LOG_STATES = 2;
/** One line of statistics a program, `verification time N usec` among them. */
export const LOG_STATS = 4;

/**
 * Creates the maps and loads the programs, all or nothing; an object loads once. Errors: `code` of the
 * failing call; the message holds libbpf's warnings and the last lines of the verifier's log, the property
 * `log` the whole of it. With a `logLevel` {@link programLog} tells of each program also after success; a
 * load that failed at LOG_STATS alone has no paths in its log: open again and load without a level.
 */
export function loadObject(object: Obj, opts?: { readonly logLevel?: number }): { durationMs: number } {
  return { durationMs: addon().loadObject(object, opts?.logLevel ?? 0) / 1e6 };
}

/** The verifier's log of one program, at the level given to {@link loadObject}; empty without one. */
export function programLog(object: Obj, program: string): string {
  return addon().programLog(object, program);
}

/** Descriptor of a loaded program. It is the object's: never close it, `dupFd` to keep it longer. */
export function programFd(object: Obj, program: string): Fd {
  return addon().programFd(object, program);
}

/** Descriptor of a created or reused map. It is the object's: never close it, `dupFd` to keep it longer. */
export function mapFd(object: Obj, map: string): Fd {
  return addon().mapFd(object, map);
}
