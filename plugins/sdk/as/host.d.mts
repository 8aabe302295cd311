type Bytes = string | Uint8Array | null;

export interface Given {
  key?: Bytes;
  value?: Bytes;
  headers?: Record<string, Bytes>;
  timestamp?: number;
  offset?: number;
  partition?: number;
}

/** What is not there is as in the record. */
export interface Output {
  key?: string | null;
  value?: string | null;
  timestamp?: number;
  /** The place of the output that it is for, from 1. */
  to?: number;
}

export interface Result {
  verdict: "keep" | "drop" | "fail" | "replaced";
  /** Why it failed. */
  error?: string;
  outputs: Output[];
}

export interface Plugin {
  readonly logged: { level: number; text: string }[];
  /** What counters have come to, by their places. */
  readonly counted: Record<number, number>;
  /** Runs records as one batch. Text is taken as UTF-8. */
  run(records: (Bytes | Given)[]): Result[];
}

export interface Options {
  /** What is to be in the start message. */
  start?: { plugin?: string; config?: unknown; topics?: string[]; outputs?: string[]; metrics?: string[] };
  /** What kvGet finds. */
  kv?: Record<string, string>;
  /** What nowMs gives. */
  now?: number;
}

/** Instantiates a module and hands it the start message. It throws what the plugin refuses it with. */
export function load(module: BufferSource, options?: Options): Promise<Plugin>;
