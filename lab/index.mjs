/** The lab for programs; the command line (bin.mjs) is made of the same. */
export { bootLab, exec, withLab } from "./boot.mjs";
export { readEnvironment } from "./environment.mjs";
export { LabError } from "./failure.mjs";
export { checkTopology, readHostsFile } from "./hosts-file.mjs";
