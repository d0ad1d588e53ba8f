import { readFileSync } from "node:fs";
import { LabError } from "./failure.mjs";

/**
 * The file that LVS_LAB names: how to reach each host. Tests, the demo and users' programs read it; so does
 * `lab exec`.
 *
 * @typedef {{ host: string, port: number, user: string, privateKeyPath: string, hostKey: string }} Reach
 * @typedef {{ knownHosts: string, hosts: Record<string, Reach> }} Environment
 */

/** @param {string} path @returns {Environment} */
export function readEnvironment(path) {
    try {
        return JSON.parse(readFileSync(path, "utf8"));
    } catch {
        throw new LabError(`no lab at ${path}: it has ended, or LVS_LAB is stale (unset LVS_LAB)`);
    }
}

/** @param {Environment} environment @param {string} name @returns {Reach} */
export function hostIn(environment, name) {
    if (!Object.hasOwn(environment.hosts, name)) {
        throw new LabError(
            `no host ${JSON.stringify(name)} in this lab; hosts are ${Object.keys(environment.hosts).join(", ")}`,
        );
    }
    return environment.hosts[name];
}

/** @param {Environment} environment the lines of a known_hosts file */
export function knownHosts(environment) {
    return Object.values(environment.hosts)
        .map(({ host, port, hostKey }) => `[${host}]:${port} ${hostKey}\n`)
        .join("");
}
