/**
 * The kernel's schedulers and persistence engines, as data: a new one is a row. Sources: the kernel's
 * net/netfilter/ipvs/Kconfig and include/uapi/linux/ip_vs.h; ipvsadm's parse_sched_flags and print_sched_flags.
 */
export interface Scheduler {
    name: string;
    module: string;
    /** The kernel configuration option that builds it. */
    config: string;
    /** What it does, in a line. */
    title: string;
    /** The first kernel that has it; absent: every kernel with IPVS in its present form. */
    since?: string;
    /** The flags it understands, by their own names, in the order of their bits: flag-1, flag-2. */
    flags: readonly string[];
    /** Whether it looks at the weight beyond "0 or not". */
    weighted: boolean;
}

const scheduler = (
    name: string,
    title: string,
    more: { weighted: boolean; since?: string; flags?: readonly string[] },
): Scheduler => ({
    name,
    module: `ip_vs_${name}`,
    config: `CONFIG_IP_VS_${name.toUpperCase()}`,
    title,
    flags: [],
    ...more,
});

export const schedulers: readonly Scheduler[] = [
    scheduler("rr", "round robin", { weighted: false }),
    scheduler("wrr", "weighted round robin", { weighted: true }),
    scheduler("lc", "least connections", { weighted: false }),
    scheduler("wlc", "weighted least connections", { weighted: true }),
    scheduler("lblc", "locality-based least connections", { weighted: true }),
    scheduler("lblcr", "locality-based least connections with replication", { weighted: true }),
    scheduler("dh", "destination hashing", { weighted: false }),
    scheduler("sh", "source hashing", { weighted: true, flags: ["sh-fallback", "sh-port"] }),
    scheduler("sed", "shortest expected delay", { weighted: true }),
    scheduler("nq", "never queue", { weighted: true }),
    scheduler("fo", "weighted failover", { weighted: true, since: "3.18" }),
    scheduler("ovf", "weighted overflow", { weighted: true, since: "4.3" }),
    scheduler("mh", "Maglev hashing", { weighted: true, since: "4.18", flags: ["mh-fallback", "mh-port"] }),
    scheduler("twos", "power of two random choices", { weighted: true, since: "5.15" }),
];

export const schedulerNames: readonly string[] = schedulers.map((one) => one.name);

/** The row of a scheduler; undefined for one that is not in the kernel's tree. */
export function schedulerNamed(name: string): Scheduler | undefined {
    return schedulers.find((one) => one.name === name);
}

/** Persistence engines: what ties a client's connections together when its address does not. */
export const engines: readonly { name: string; module: string; config: string; title: string }[] = [
    { name: "sip", module: "ip_vs_pe_sip", config: "CONFIG_IP_VS_PE_SIP", title: "SIP's Call-ID" },
];

/** The flags by the names that every scheduler shares, in the order of their bits. */
export const plainFlags: readonly string[] = ["flag-1", "flag-2", "flag-3"];

/** Every word that `--sched-flags` takes. */
export const flagNames: readonly string[] = [...plainFlags, ...schedulers.flatMap((one) => one.flags)];

/**
 * The flags of a service as ipvsadm prints them, in its order: a scheduler that has names for its flags gets those
 * (`flag-1` of sh is `sh-fallback`). Throws for a word that is no flag of the scheduler, and for flag-3 where the
 * scheduler has names: ipvsadm sets it, and then prints a table that it cannot read back.
 */
export function canonicalFlags(schedulerName: string, flags: readonly string[]): string[] {
    const named = schedulerNamed(schedulerName)?.flags ?? [];
    const bits = flags.map((flag) => {
        const bit = named.includes(flag) ? named.indexOf(flag) : plainFlags.indexOf(flag);
        if (bit < 0) {
            throw new Error(`"${flag}" is not a flag of the scheduler ${schedulerName}: ${expected(schedulerName)}`);
        }
        if (named.length > 0 && named[bit] === undefined) {
            throw new Error(
                `the scheduler ${schedulerName} has no third flag, and ipvsadm cannot show it: ${expected(schedulerName)}`,
            );
        }
        return bit;
    });
    return [...new Set(bits)].sort().map((bit) => named[bit] ?? plainFlags[bit]!);
}

function expected(schedulerName: string): string {
    const named = schedulerNamed(schedulerName)?.flags ?? [];
    return `expected ${(named.length > 0 ? named : plainFlags).join(", ")}`;
}
