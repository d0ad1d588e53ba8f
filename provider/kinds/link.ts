import { type Action, DEVICE_PREFIX, type Kind, ranks, type Value } from "./kind";
import { lines } from "./probe";

/**
 * A device that takes VIPs. Of a tunnel, `local`: the real server's own address; `csum`: GRE checksums, on both ends or on
 * none. `remote`: the only host that it takes packets of, and `up`: both only as found.
 */
export type LinkValue = { type: string; local?: string; remote?: string; csum?: boolean; up?: boolean };

/**
 * A tunnel device that takes in what a director sends by `tun`, or a dummy device for VIPs. Tunnels are ours by name
 * (`lvs-…`), never tunl0, gre0 or sit0, where a container network may live. What keeps its name is changed in place: a second GRE device with the same local
 * address is EEXIST.
 */
export const linkKind: Kind<LinkValue & Record<string, Value>> = {
    name: "link",
    group: "tunnel",
    nature: "thing",
    ours: (key) => key.startsWith(DEVICE_PREFIX),
    tool: "ip",
    rank: () => ranks.link,
    read: (probe) => new Map(lines(probe, "link").flatMap(parse)),
    satisfied: (want, have) =>
        want.type === have.type &&
        want.local === have.local &&
        want.remote === have.remote &&
        (want.csum ?? false) === (have.csum ?? false) &&
        have.up === (want.up ?? true),
    set: (key, want, have) => {
        const parameters = [
            want.type,
            ...(want.local === undefined ? [] : ["local", want.local, "remote", want.remote ?? any(want.local)]),
        ];
        if (want.type === "ip6tnl") parameters.splice(1, 0, "mode", "any");
        if (want.type === "gre" || want.type === "ip6gre") parameters.push(want.csum === true ? "csum" : "nocsum");
        // Over IPv4 the kernel does not let a device that takes packets of one host take those of all (tried on 6.1).
        const fixed = !want.type.startsWith("ip6") && want.remote !== have?.remote;
        const other = have !== undefined && (have.type !== want.type || fixed);
        const verb = have === undefined || other ? "add" : "change";
        const replaced = other ? [{ run: ["ip", "link", "del", key] }] : [];
        const make =
            want.type === "dummy"
                ? { script: ADD_ONCE, words: [key, "ip", "link", "add", key, "type", "dummy"] }
                : { run: ["ip", "link", verb, key, "type", ...parameters] };
        return [
            ...replaced,
            make,
            { run: ["ip", "link", "set", key, want.up === false ? "down" : "up"] },
            ...(verb === "add" ? [{ script: SETTLED, words: [] }] : []),
        ];
    },
    unset: (key) => [{ run: ["ip", "link", "del", key] }],
    // The unit also runs when the device is there and something took it down.
    boot: (key, want) =>
        linkKind
            .set(key, want, undefined)
            .map(
                (action): Action =>
                    "run" in action && action.run[2] === "add"
                        ? { script: ADD_ONCE, words: [key, ...action.run] }
                        : action,
            ),
    describe: (key) => `device ${key}`,
};

/** udev writes what sysctl.d says of every interface to a new one, when it gets to it: our own settings come after that. */
const SETTLED = "udevadm settle -t 5 >/dev/null 2>&1; exit 0";

/** Loading its module makes a dummy0, too. */
const ADD_ONCE = `[ -e "/sys/class/net/$1" ] || { shift; exec "$@"; }`;

/** "any" as the device's family spells it: such a device takes packets of every director. */
function any(local: string): string {
    return local.includes(":") ? "::" : "any";
}

/** Whether a device of this name is one that we make where it is not there: a dummy device. */
export function isDummy(name: string): boolean {
    return name.startsWith("dummy") || name.startsWith(DEVICE_PREFIX);
}

/** One line of `ip -d -o link show`: flags between <>, then the device's kind with its parameters. */
function parse(line: string): [string, LinkValue & Record<string, Value>][] {
    const [head = "", ...parts] = line.split("\\");
    const name = /^\d+:\s+([^\s@:]+)/.exec(head)?.[1];
    const detail = parts
        .map((part) => /^\s*(ipip|sit|gre|ip6gre|ip6tnl|dummy)\s(.*)$/.exec(part))
        .find((match) => match !== null);
    if (name === undefined || detail === undefined || detail === null) return [];
    const [, type = "", rest = ""] = detail;
    const up = /<[^>]*\bUP\b[^>]*>/.test(head);
    if (type === "dummy") return [[name, { type, up }]];
    const local = /\blocal (\S+)/.exec(rest)?.[1] ?? "any";
    const remote = /\bremote (\S+)/.exec(rest)?.[1] ?? "any";
    const csum = /\bocsum\b/.test(rest) || /\bicsum\b/.test(rest) || /(?:^|\s)csum\b/.test(rest);
    const one = remote !== "any" && remote !== "::";
    return [[name, { type, local, ...(one ? { remote } : {}), ...(csum ? { csum } : {}), up }]];
}
