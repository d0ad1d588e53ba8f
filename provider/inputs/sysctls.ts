/**
 * Kernel settings that a user adds to those that a resource makes by itself. Only `net.`: everything that LVS needs is
 * there, it is what a network namespace has of its own, and a load balancer's program is no place from which to set,
 * say, kernel.panic or vm.overcommit_memory on a host.
 */
import { z } from "zod";
import { got, shown } from "./got";
import { unprintable } from "./scalars";
import { mapOf } from "./structure";
import { isUnknown } from "./unknown";

/** Writing these resets settings of every interface; Director.ipForward remembers and restores those. */
const switches = new Set(["net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding", "net.ipv6.conf.all.forwarding"]);

const value = z
    .union([z.string(), z.number()], { error: (issue) => `expected a text or a number, ${got(issue.input)}` })
    .transform((given, context) => {
        const odd = typeof given === "string" ? unprintable(given) : undefined;
        const written = String(given).trim().replace(/ +/g, " ");
        if (odd !== undefined || written === "" || written.length > 512 || (typeof given === "number" && !Number.isSafeInteger(given))) {
            const why = odd ?? (written === "" ? "it is empty" : "it is no value of a setting");
            context.addIssue({ code: "custom", message: `expected a text or a whole number, got ${shown(String(given))}: ${why}` });
            return z.NEVER;
        }
        return written;
    });

/** Schema of a map of settings: keys as sysctl(8) takes them, values as text. */
export function sysctls() {
    return mapOf(value)
        .superRefine((map, context) => {
            const before = new Map<string, string>();
            for (const name of Object.keys(map)) {
                const report = (message: string) => context.addIssue({ code: "custom", path: [name], message });
                const key = canonicalKey(name);
                if ("problem" in key) {
                    report(key.problem);
                    continue;
                }
                const other = before.get(key.key);
                if (other !== undefined) report(`it is the setting that ${shown(other)} names too: ${key.key}`);
                before.set(key.key, name);
            }
        })
        .overwrite((map) =>
            Object.fromEntries(
                Object.entries(map).map(([name, written]) => {
                    const key = canonicalKey(name);
                    return ["key" in key ? key.key : name, written];
                }),
            ),
        );
}

/**
 * The one spelling of a setting's name: parts with dots between them, `/` for a dot within a part. As sysctl(8) does,
 * the first separator tells the two ways of writing apart: `net.ipv4.conf.eth0/1.arp_ignore` is
 * `net/ipv4/conf/eth0.1/arp_ignore`.
 */
function canonicalKey(name: string): { key: string } | { problem: string } {
    const dotted = /^[^./]*\//.test(name) ? name.replace(/[./]/g, (c) => (c === "." ? "/" : ".")) : name;
    const parts = dotted.split(".");
    if (unprintable(name) !== undefined || parts.length < 2 || !parts.every((part) => /^[\w:@+/-]+$/.test(part) && !/^\/+$/.test(part))) {
        return { problem: `${shown(name)} is not the name of a setting: expected one such as net.ipv4.conf.eth0.arp_ignore` };
    }
    if (parts[0] !== "net") {
        return { problem: `${shown(name)} is outside net.: only network settings are managed here` };
    }
    if (switches.has(dotted)) {
        return {
            problem: `${shown(dotted)} resets settings of every interface when it is written; use ipForward of a Director, which restores them`,
        };
    }
    return { key: dotted };
}

/** The settings that are known, with their canonical names. */
export function knownSysctls(map: Readonly<Record<string, string>> | undefined): [key: string, value: string][] {
    return Object.entries(map ?? {}).filter(([, written]) => !isUnknown(written));
}
