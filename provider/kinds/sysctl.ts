import { DEVICE_PREFIX, type Kind, ranks } from "./kind";
import { lines, type Probe } from "./probe";

/**
 * A kernel setting, keyed as sysctl(8) writes it: dots between the parts, and `/` for a dot within a part
 * (`net.ipv4.conf.eth0/1.arp_ignore`). Values are text, white space folded.
 */
export const sysctlKind: Kind<string> = {
    name: "sysctl",
    nature: "setting",
    rank: (key) => (isOfOurDevice(key) ? ranks.linkSetting : ranks.setting),
    read: (probe) =>
        new Map(
            lines(probe, "sysctl").map((line) => {
                const at = line.indexOf(":");
                return [sysctlKey(line.slice(0, at)), fold(line.slice(at + 1))];
            }),
        ),
    satisfied: (want, have, key) =>
        fold(want) === fold(have) || (movedByKernel.test(key) && isOneOrTwo(want) && isOneOrTwo(have)),
    set: (key, want) => [{ write: sysctlPath(key), text: want }],
    restore: (key, found) => [{ write: sysctlPath(key), text: found }],
    stays: setElsewhere,
    describe: (key) => `sysctl ${key}`,
};

/** Another file of the host that sets a setting too: it is not ours to put back. */
export function setElsewhere(key: string, probe: Probe): string | undefined {
    const line = lines(probe, "sysctl.d").find((each) => {
        const [name = "", value] = each.slice(each.indexOf(":") + 1).split("=");
        return value !== undefined && fileKey(name) === key;
    });
    return line === undefined ? undefined : `${line.slice(0, line.indexOf(":"))} sets it too`;
}

/** A name in sysctl.d(5): its first separator says which is meant, and a dash that a failure does not matter. */
function fileKey(name: string): string {
    const plain = name.trim().replace(/^-\s*/, "");
    return /^[^.]*\//.test(plain) ? sysctlKey(plain) : plain;
}

/** `net/ipv4/conf/eth0.1/arp_ignore`, the path under /proc/sys, as a key. */
export function sysctlKey(path: string): string {
    return swap(path.replace(/^\/proc\/sys\//, ""));
}

/** The file of a key. */
export function sysctlPath(key: string): string {
    return `/proc/sys/${swap(key)}`;
}

/** The key of a setting of one interface: `interfaceSysctl("ipv4", "eth0.1", "arp_ignore")`. */
export function interfaceSysctl(family: "ipv4" | "ipv6", device: string, name: string): string {
    return `net.${family}.conf.${device.replaceAll(".", "/")}.${name}`;
}

function swap(text: string): string {
    return text.replace(/[./]/g, (c) => (c === "." ? "/" : "."));
}

function fold(text: string): string {
    return text.trim().replace(/\s+/g, " ");
}

function isOfOurDevice(key: string): boolean {
    return key.split(".").some((part) => part.startsWith(DEVICE_PREFIX));
}

/** The kernel itself moves these between 1 (automatic, idle) and 2 (automatic, active): no difference. */
const movedByKernel = /^net\.ipv4\.vs\.(drop_entry|drop_packet|secure_tcp)$/;

function isOneOrTwo(text: string): boolean {
    return text === "1" || text === "2";
}
