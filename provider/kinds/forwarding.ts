import { type Action, type Kind, ranks, type Value } from "./kind";
import { interfaceSysctl, sysctlKind, sysctlPath } from "./sysctl";

/** Forwarding of one family; what was found keeps the settings of every interface that a switch of it resets. */
type Forwarding = { on: boolean; interfaces?: Record<string, Record<string, string>> };

/** Reset on every interface whenever the switch of the whole host is written (tried on 6.1). */
const reset = ["forwarding", "accept_redirects"];

const master: Record<string, string> = { ipv4: "net.ipv4.ip_forward", ipv6: "net.ipv6.conf.all.forwarding" };

/**
 * The host's forwarding switch, `ipv4` or `ipv6`. Writing it 1 and then 0 resets `forwarding` and with it
 * `accept_redirects` of every interface: so these are remembered when it is claimed, and written back after it.
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
                if (net !== family || conf !== "conf" || device === "all" || !reset.includes(setting)) continue;
                interfaces[device] = { ...interfaces[device], [setting]: text };
            }
            found.set(family, { on: value === "1", interfaces });
        }
        return found;
    },
    satisfied: (want, have) => want.on === have.on,
    set: (key, want) => [{ write: sysctlPath(master[key]!), text: want.on ? "1" : "0" }],
    restore: (key, found, have) => [
        { write: sysctlPath(master[key]!), text: found.on ? "1" : "0" },
        ...Object.entries(found.interfaces ?? {})
            .filter(([device]) => have.interfaces?.[device] !== undefined)
            .flatMap(([device, settings]) =>
                Object.entries(settings).map(
                    ([name, text]): Action => ({
                        write: sysctlPath(interfaceSysctl(key as "ipv4" | "ipv6", device.replaceAll("/", "."), name)),
                        text,
                    }),
                ),
            ),
    ],
    neededByOthers: (key, probe) => sysctlKind.neededByOthers?.(master[key]!, probe),
    describe: (key) => `${key} forwarding`,
};
