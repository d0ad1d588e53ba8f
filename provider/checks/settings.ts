/** The settings of IPVS that do not take every value, as data, and what inputs say of settings. */
import type { DirectorInputs } from "../inputs/director";
import type { Finding, HostView } from "../kinds/want";
import { finding } from "./codes";
import { settingOf } from "./network";

type Sysctls = DirectorInputs["sysctls"];

/**
 * net.ipv4.vs.*: ranges outside of which a kernel refuses the value, or puts the old one back without a word
 * (ip_vs_ctl.c, vs_vars and the proc_do_* beside it). What is not here takes any whole number, or is no number.
 */
const ranges: Record<string, { min: number; max: number; also?: (value: number) => boolean; words?: string }> = {
    drop_entry: { min: 0, max: 3 },
    drop_packet: { min: 0, max: 3 },
    secure_tcp: { min: 0, max: 3 },
    est_nice: { min: -20, max: 19 },
    sync_retries: { min: 0, max: 3 },
    sync_version: { min: 0, max: 1 },
    sync_ports: { min: 1, max: 2 ** 30, also: (value) => (value & (value - 1)) === 0, words: "a power of two" },
};

const switches = [
    "backup_only",
    "conntrack",
    "cache_bypass",
    "expire_nodest_conn",
    "expire_quiescent_template",
    "ignore_tunneled",
    "nat_icmp_send",
    "pmtu_disc",
    "snat_reroute",
    "sync_persist_mode",
    "run_estimation",
    "sloppy_tcp",
    "sloppy_sctp",
    "schedule_icmp",
];

/** Values that a setting does not take. */
export function settingValues(sysctls: Sysctls): Finding[] {
    return Object.entries(sysctls ?? {}).flatMap(([key, value]) => {
        const name = nameOf(key);
        const range = name === undefined ? undefined : ranges[name];
        const isSwitch = name !== undefined && switches.includes(name);
        if (range === undefined && !isSwitch) return [];
        const number = /^-?\d+$/.test(value.trim()) ? Number(value) : Number.NaN;
        const fits =
            range === undefined
                ? !Number.isNaN(number)
                : number >= range.min && number <= range.max && (range.also?.(number) ?? true);
        if (fits) return [];
        const expected = range === undefined ? "0 or 1" : (range.words ?? `a number from ${range.min} to ${range.max}`);
        return [finding("LVS-SYSCTL-VALUE", property(key), `${key} takes ${expected}, not ${JSON.stringify(value)}`)];
    });
}

/** Settings that the running kernel does not have. Known only once IPVS is loaded. */
export function unknownSettings(sysctls: Sysctls, view: HostView): Finding[] {
    const known = [...(view.objects.get("sysctl")?.keys() ?? [])].filter((key) => nameOf(key) !== undefined);
    if (known.length === 0) return [];
    return Object.keys(sysctls ?? {})
        .filter((key) => nameOf(key) !== undefined && !known.includes(key) && !empty.has(nameOf(key)!))
        .map((key) =>
            finding(
                "LVS-SYSCTL",
                property(key),
                `the running kernel has no setting ${key}; of IPVS it has ${known.map(nameOf).join(", ")}`,
            ),
        );
}

/** Settings that have no text unless they are set, and so are not seen. */
const empty = new Set(["est_cpulist"]);

/** The value that a setting will have on a host: as wanted, else as it runs; undefined: the host does not say. */
export function willBe(sysctls: Sysctls, view: HostView, key: string): string | undefined {
    return sysctls?.[key]?.trim() ?? settingOf(view, key);
}

export function property(key: string): string {
    return `sysctls[${JSON.stringify(key)}]`;
}

function nameOf(key: string): string | undefined {
    return key.startsWith("net.ipv4.vs.") ? key.slice("net.ipv4.vs.".length) : undefined;
}
