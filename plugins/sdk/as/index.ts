// What `import … from "streamproc-plugin"` finds. Projects that hold the sources import "./sp1" and "./sp1_json".
export * from "./sp1";
export { Members } from "./sp1_json";
