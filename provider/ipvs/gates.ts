/**
 * Which kernel and which ipvsadm something came with, as data: checks, the doctor and the documentation read it here.
 * Distributions bring features back to older kernels, so a gate alone forbids nothing that the host shows to have.
 */
import { engines, schedulers } from "./schedulers";
import { vsSettings } from "./sysctls";

export interface Gate {
    /** What it is called in inputs: a scheduler, a tunnel type, a setting, or an input's name. */
    name: string;
    /** In LVS's words. */
    title: string;
    /** The first kernel that has it. */
    since: string;
}

export const kernelGates: readonly Gate[] = [
    ...schedulers.flatMap(({ name, since }) =>
        since === undefined ? [] : [{ name, since, title: `scheduler ${name}` }],
    ),
    ...vsSettings.flatMap(({ name, since }) =>
        since === undefined ? [] : [{ name: `net.ipv4.vs.${name}`, since, title: `setting net.ipv4.vs.${name}` }],
    ),
    { name: "gue", title: "tunnel gue", since: "5.2" },
    { name: "gre", title: "tunnel gre", since: "5.3" },
    { name: "checksum", title: "checksums of tunnels", since: "5.3" },
    { name: "sync", title: "a sync daemon's maxlen, group, port and ttl", since: "4.3" },
    { name: "connTabBits", title: "a connection table of more than 2^20 places", since: "6.5" },
    // From 4.1 on such a connection was delayed, before that its port was not looked at.
    { name: "reuse", title: "reused ports without a second's delay", since: "5.9" },
];

/** An option of ipvsadm: a word of its own inside the program, by which it is known without running it. */
export interface IpvsadmOption {
    option: string;
    title: string;
    since: string;
}

export const ipvsadmOptions: readonly IpvsadmOption[] = [
    { option: "ops", title: "one-packet scheduling", since: "1.26" },
    { option: "sched-flags", title: "schedulers' flags", since: "1.27" },
    { option: "sctp-service", title: "SCTP", since: "1.26" },
    { option: "sync-maxlen", title: "a sync daemon's maxlen, group, port and ttl", since: "1.29" },
    { option: "mh-port", title: "mh's flags", since: "1.30" },
    { option: "tun-type", title: "tunnels gue and gre", since: "1.30" },
    { option: "tun-nocsum", title: "checksums of tunnels", since: "1.31" },
];

/** The gate of a name. */
export function kernelGate(name: string): Gate | undefined {
    return kernelGates.find((gate) => gate.name === name);
}

/** Whether a kernel's release, such as `6.1.0-56-cloud-amd64`, is from before a version, such as `6.2`. */
export function isBefore(release: string, version: string): boolean {
    const [major = 0, minor = 0] = (/^(\d+)\.(\d+)/.exec(release) ?? []).slice(1).map(Number);
    const [wantedMajor = 0, wantedMinor = 0] = version.split(".").map(Number);
    return /^\d+\.\d+/.test(release) && (major < wantedMajor || (major === wantedMajor && minor < wantedMinor));
}

/** The scheduler or engine that a module is. */
export function ownerOf(module: string): { name: string; title: string; config: string } | undefined {
    const scheduler = schedulers.find((one) => one.module === module);
    const engine = engines.find((one) => one.module === module);
    if (scheduler !== undefined) return { ...scheduler, title: `scheduler ${scheduler.name}` };
    return engine === undefined ? undefined : { ...engine, title: `persistence engine ${engine.name}` };
}
