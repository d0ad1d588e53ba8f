import { type Action, type Kind, type Place, ranks, type Value } from "./kind";
import { lines, type Probe } from "./probe";
import { interfaceSysctl, setElsewhere, sysctlKind, sysctlPath } from "./sysctl";

/**
 * Forwarding of one family; what was found keeps the settings of every interface that a switch of it resets, and `text`
 * where the switch was neither 0 nor 1 (every other number is on).
 */
type Forwarding = { on: boolean; text?: string; interfaces?: Record<string, Record<string, string>> };

/**
 * What a switch of the whole host moves on every interface: `forwarding` and `accept_redirects` are reset whenever it is
 * written (tried on 6.1), and `accept_ra` is what we raise, so that the host goes on taking router advertisements.
 */
const moved: Record<string, string[]> = {
    ipv4: ["forwarding", "accept_redirects"],
    ipv6: ["forwarding", "accept_redirects", "accept_ra"],
};

const master: Record<string, string> = { ipv4: "net.ipv4.ip_forward", ipv6: "net.ipv6.conf.all.forwarding" };

/** The names of the switch; `conf.all.forwarding` of IPv4 is the same word of the kernel as `ip_forward`. */
export const forwardingSettings: Record<"ipv4" | "ipv6", readonly string[]> = {
    ipv4: [master["ipv4"]!, "net.ipv4.conf.all.forwarding"],
    ipv6: [master["ipv6"]!],
};

/**
 * The host's forwarding switch, `ipv4` or `ipv6`. Writing it 1 and then 0 resets `forwarding` and with it
 * `accept_redirects` of every interface: so these are remembered when it is claimed, and written back after it.
 *
 * A host that forwards IPv6 ignores router advertisements where `accept_ra` is 1, and loses the default routes that came
 * by them in the moment that it begins to forward. Where it is 1 it becomes 2 just before, on each interface alone; 0
 * stays 0.
 */
export const forwardingKind: Kind<Forwarding & Record<string, Value>> = {
    name: "forwarding",
    nature: "setting",
    rank: () => ranks.forwarding,
    read: (probe) => {
        const settings = sysctlKind.read(probe);
        const found = new Map<string, Forwarding>();
        for (const [family, key] of Object.entries(master)) {
            const value = settings.get(key);
            if (value === undefined) continue;
            const interfaces: Record<string, Record<string, string>> = {};
            for (const [name, text] of settings) {
                const [, net, conf, device = "", setting = ""] = name.split(".");
                if (net !== family || conf !== "conf" || device === "all" || !moved[family]!.includes(setting))
                    continue;
                interfaces[device] = { ...interfaces[device], [setting]: text };
            }
            const text = value === "0" || value === "1" ? {} : { text: value };
            found.set(family, { on: value !== "0", ...text, interfaces });
        }
        return found;
    },
    satisfied: (want, have) => want.on === have.on,
    set: (key, want, have) => [
        ...(key === "ipv6" && want.on ? advertised(have) : []),
        { write: sysctlPath(master[key]!), text: want.on ? "1" : "0" },
    ],
    mend: (key, want, have, found, claimed) =>
        !want.on ? [] : key === "ipv4" ? ceased(have, found, claimed) : deaf(have, found, claimed),
    restore: (key, found, have) => [
        { write: sysctlPath(master[key]!), text: found.text ?? (found.on ? "1" : "0") },
        ...Object.entries(found.interfaces ?? {})
            .filter(([device]) => have.interfaces?.[device] !== undefined)
            .flatMap(([device, settings]) =>
                Object.entries(settings).map(([name, text]) => ofInterface(key as "ipv4" | "ipv6", device, name, text)),
            ),
    ],
    stays: (key, probe, found) =>
        forwardingSettings[key as "ipv4" | "ipv6"]
            .map((setting) => setElsewhere(setting, probe))
            .find((why) => why !== undefined) ?? (found.on ? undefined : translatedElsewhere(key, probe)),
    describe: (key) => `${key} forwarding`,
    show: ({ on }) => (on ? "on" : "off"),
};

/** Somebody else's address translation on the host, which forwards: a container network that came after us. */
function translatedElsewhere(family: string, probe: Probe): string | undefined {
    let table = "";
    for (const line of [...lines(probe, "input"), ...lines(probe, "input.iptables")]) {
        const name = /^table (\S+ \S+)|^ip6?tables$/.exec(line);
        if (name !== null) table = name[1] ?? name[0];
        else if (line === "nat" && (tablesOf[family] ?? []).includes(table.split(" ")[0]!)) {
            return `the packet filter's "${table}" translates addresses of what the host forwards`;
        }
    }
    return undefined;
}

/** What a table's name begins with whose rules concern a family. */
const tablesOf: Record<string, string[]> = { ipv4: ["ip", "inet", "iptables"], ipv6: ["ip6", "inet", "ip6tables"] };

function ofInterface(family: "ipv4" | "ipv6", device: string, name: string, text: string): Action {
    return { write: sysctlPath(interfaceSysctl(family, device.replaceAll("/", "."), name)), text };
}

type Claimed = (place: Place) => boolean;

/**
 * Interfaces that no longer forward: a packet is forwarded by IPv4 if the interface that it came in by says so; by IPv6
 * the switch alone counts.
 */
const ceased = (have: Forwarding, found: Forwarding, claimed: Claimed): Action[] =>
    Object.entries(have.interfaces ?? {})
        .filter(
            ([device, { forwarding }]) =>
                forwarding === "0" &&
                !(found.on && (found.interfaces?.[device] ?? found.interfaces?.["default"])?.["forwarding"] === "0") &&
                !claimed({ kind: "sysctl", key: `net.ipv4.conf.${device}.forwarding` }),
        )
        .map(([device]) => ofInterface("ipv4", device, "forwarding", "1"));

/** Interfaces that took router advertisements before the host forwarded, and do so no longer. */
const deaf = (have: Forwarding, found: Forwarding, claimed: Claimed): Action[] =>
    Object.entries(have.interfaces ?? {})
        .filter(
            ([device, { accept_ra }]) =>
                accept_ra === "1" &&
                listened(found, device) &&
                !claimed({ kind: "sysctl", key: `net.ipv6.conf.${device}.accept_ra` }),
        )
        .map(([device]) => ofInterface("ipv6", device, "accept_ra", "2"));

/** Whether an interface's router advertisements end with the switch, unless they are asked for all the same. */
function listened({ on, interfaces }: Forwarding, device: string): boolean {
    const { accept_ra, forwarding } = interfaces?.[device] ?? {};
    return !on && accept_ra === "1" && forwarding !== "1";
}

function advertised(have: Forwarding | undefined): Action[] {
    if (have === undefined) return [{ script: KEEP_ADVERTISEMENTS, words: [] }];
    return Object.keys(have.interfaces ?? {})
        .filter((device) => listened(have, device))
        .map((device) => ofInterface("ipv6", device, "accept_ra", "2"));
}

/**
 * Where the interfaces are not known beforehand, as at boot. One that forwards already has stopped listening: it stays so.
 * Of a number there dash and busybox get the digits but no end of line: their `read` fails with the value in hand.
 */
const KEEP_ADVERTISEMENTS = `
cd /proc/sys/net/ipv6/conf || exit 0
for d in *; do
    [ "$d" = all ] && continue
    a=; read -r a 2>/dev/null < "$d/accept_ra"
    f=; read -r f 2>/dev/null < "$d/forwarding"
    [ "$a$f" != 10 ] || echo 2 > "$d/accept_ra"
done
:`.trim();
