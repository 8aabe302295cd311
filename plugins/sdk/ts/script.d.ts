// What a script finds, for an editor: /// <reference types="streamproc-script" />, or path="…/script.d.ts". It is not read
// when the script is loaded.

/** What is known of a record beside its value. */
interface Rec {
  readonly key: string | null;
  readonly headers: Readonly<Record<string, string | null>>;
  /** Milliseconds since 1970, UTC. */
  readonly timestamp: number;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/** Writes to the log of streamproc. */
declare const console: Record<"debug" | "log" | "info" | "warn" | "error" | "trace", (...args: unknown[]) => void>;

/**
 * The value of a key in the store that the configuration gives the plugin (kv), as text; null if there is none. Within a batch
 * a key has one value. It is for what is called for records: in init it throws, and so it does where there is no kv.
 */
declare function kvGet(key: string | number): string | null;

declare class TextEncoder { encode(text?: string): Uint8Array }
declare class TextDecoder { decode(bytes: ArrayBuffer | Uint8Array): string }

interface JSON {
  /** Digits, or any other JSON without an object or array in it, that is written as it is. */
  rawJSON(text: string): object;
}

/** A file beside the script, as text. */
declare module "*.txt" {
  const text: string;
  export default text;
}
