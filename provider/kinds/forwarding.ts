import { type Action, type Kind, ranks, type Value } from "./kind";
import { interfaceSysctl, setElsewhere, sysctlKind, sysctlPath } from "./sysctl";

/** Forwarding of one family; what was found keeps the settings of every interface that a switch of it resets. */
type Forwarding = { on: boolean; interfaces?: Record<string, Record<string, string>> };

/**
 * What a switch of the whole host moves on every interface: `forwarding` and `accept_redirects` are reset whenever it is
 * written (tried on 6.1), and `accept_ra` is what we raise, so that the host goes on taking router advertisements.
 */
const moved: Record<string, string[]> = {
    ipv4: ["forwarding", "accept_redirects"],
    ipv6: ["forwarding", "accept_redirects", "accept_ra"],
};

const master: Record<string, string> = { ipv4: "net.ipv4.ip_forward", ipv6: "net.ipv6.conf.all.forwarding" };

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
            found.set(family, { on: value === "1", interfaces });
        }
        return found;
    },
    satisfied: (want, have) => want.on === have.on,
    set: (key, want, have) => [
        ...(key === "ipv6" && want.on ? advertised(have) : []),
        { write: sysctlPath(master[key]!), text: want.on ? "1" : "0" },
    ],
    boot: (key, want) => [
        ...(key === "ipv6" && want.on ? [{ script: KEEP_ADVERTISEMENTS, words: [] }] : []),
        { write: sysctlPath(master[key]!), text: want.on ? "1" : "0" },
    ],
    restore: (key, found, have) => [
        { write: sysctlPath(master[key]!), text: found.on ? "1" : "0" },
        ...Object.entries(found.interfaces ?? {})
            .filter(([device]) => have.interfaces?.[device] !== undefined)
            .flatMap(([device, settings]) =>
                Object.entries(settings).map(([name, text]) => ofInterface(key as "ipv4" | "ipv6", device, name, text)),
            ),
    ],
    stays: (key, probe) => setElsewhere(master[key]!, probe),
    describe: (key) => `${key} forwarding`,
};

function ofInterface(family: "ipv4" | "ipv6", device: string, name: string, text: string): Action {
    return { write: sysctlPath(interfaceSysctl(family, device.replaceAll("/", "."), name)), text };
}

function advertised(have: Forwarding | undefined): Action[] {
    if (have === undefined || have.on) return [];
    return Object.entries(have.interfaces ?? {})
        .filter(([, { accept_ra, forwarding }]) => accept_ra === "1" && forwarding !== "1")
        .map(([device]) => ofInterface("ipv6", device, "accept_ra", "2"));
}

/** At boot the interfaces are those that are there then. One that forwards already has stopped listening: it stays so. */
const KEEP_ADVERTISEMENTS = `
cd /proc/sys/net/ipv6/conf || exit 0
for d in *; do
    [ "$d" = all ] && continue
    read -r a < "$d/accept_ra" && read -r f < "$d/forwarding" || continue
    [ "$a$f" != 10 ] || echo 2 > "$d/accept_ra"
done
:`.trim();
