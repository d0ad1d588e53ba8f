/**
 * Every setting of IPVS, `net.ipv4.vs.NAME`, as data: checks, documentation and the test that tries each on a real kernel
 * read them here. Sources: the kernel's ip_vs_ctl.c (vs_vars and the proc_do_* beside it), ip_vs_lblc.c, ip_vs_lblcr.c and
 * Documentation/networking/ipvs-sysctl.rst; ranges were tried on Debian's 6.1.
 */
export interface VsSetting {
    name: string;
    /** What it does, in a line, with its unit. */
    title: string;
    takes: Takes;
    /** What a kernel starts with; absent: it depends on the host. */
    default?: string;
    /** The first kernel that has it; absent: every kernel that is in use. */
    since?: string;
    /** The module that brings it; absent: ip_vs. */
    module?: string;
}

export type Takes =
    /** A whole number. `loose`: the kernel takes others too, and they mean nothing. */
    | { kind: "number"; min: number; max: number; loose?: boolean }
    | { kind: "powerOfTwo"; max: number }
    /** `threshold period`: below one another, or a period of 0. */
    | { kind: "pair" }
    /** CPUs, such as 0-3,8. */
    | { kind: "cpus" };

const INT_MAX = 2 ** 31 - 1;
/** The kernel counts these in ticks, up to 1000 a second, in an int. */
const SECONDS = { kind: "number", min: 0, max: Math.floor(INT_MAX / 1000), loose: true } as const;
const SWITCH = { kind: "number", min: 0, max: 1, loose: true } as const;
const MODE = { kind: "number", min: 0, max: 3 } as const;
const COUNT = { kind: "number", min: 0, max: INT_MAX, loose: true } as const;

const row = (name: string, takes: Takes, start: string | undefined, title: string, since?: string): VsSetting => ({
    ...{ name, title, takes },
    ...(start === undefined ? {} : { default: start }),
    ...(since === undefined ? {} : { since }),
});

export const vsSettings: readonly VsSetting[] = [
    row("am_droprate", COUNT, "10", "Mode 3 of drop_packet: one packet in so many is dropped"),
    row("amemthresh", COUNT, "1024", "Free pages below which the automatic modes of the defences set in"),
    row("backup_only", SWITCH, "0", "A backup director leaves alone what the master sends it"),
    row(
        "cache_bypass",
        SWITCH,
        "0",
        "Without a real server a packet goes on to where it was sent (transparent caches)",
    ),
    row(
        "conn_lfactor",
        { kind: "number", min: -8, max: 8 },
        "-4",
        "Load factor of the connection table, as a power of two, in kernels whose table grows",
    ),
    row("conn_max", COUNT, undefined, "The most connections, in kernels whose table grows"),
    row(
        "conn_reuse_mode",
        { kind: "number", min: 0, max: 3, loose: true },
        "1",
        "A client's port that comes again: 0 its old real server, bit 1 scheduled anew, bit 2 also from FIN_WAIT",
        "4.1",
    ),
    row("conntrack", SWITCH, "0", "Connections are netfilter's too: masquerading and the FTP helper need it"),
    row("debug_level", COUNT, "0", "How much the kernel logs, where it was built with CONFIG_IP_VS_DEBUG"),
    row("drop_entry", MODE, "0", "Connections are dropped at random: 0 never, 1 when memory is short, 3 always"),
    row("drop_packet", MODE, "0", "Packets are dropped: 0 never, 1 when memory is short, 3 always"),
    row("est_cpulist", { kind: "cpus" }, undefined, "CPUs of the threads that estimate rates", "6.2"),
    row("est_nice", { kind: "number", min: -20, max: 19 }, "0", "Niceness of the threads that estimate rates", "6.2"),
    row("expire_nodest_conn", SWITCH, "0", "Connections of a removed real server end at its next packet"),
    row("expire_quiescent_template", SWITCH, "0", "Persistence lets go of a real server of weight 0"),
    row("ignore_tunneled", SWITCH, "0", "What comes out of a tunnel is not balanced again", "4.3"),
    {
        ...row("lblc_expiration", SECONDS, "86400", "Seconds until lblc forgets a destination that nobody asked for"),
        module: "ip_vs_lblc",
    },
    {
        ...row("lblcr_expiration", SECONDS, "86400", "Seconds until lblcr forgets a destination that nobody asked for"),
        module: "ip_vs_lblcr",
    },
    row(
        "nat_icmp_send",
        SWITCH,
        "0",
        "By nat: ICMP errors to the client when a real server's packet has no connection",
    ),
    row("pmtu_disc", SWITCH, "1", "Clients of tunnels are told to send smaller packets"),
    row("run_estimation", SWITCH, "1", "Rates are estimated at all"),
    row("schedule_icmp", SWITCH, "0", "ICMP packets without a connection are scheduled", "4.3"),
    row("secure_tcp", MODE, "0", "Finer states of TCP: 0 never, 1 when memory is short, 3 always"),
    row("sloppy_sctp", SWITCH, "0", "SCTP connections begin with any packet"),
    row("sloppy_tcp", SWITCH, "0", "TCP connections begin with any packet: for a director that takes over"),
    row("snat_reroute", SWITCH, "1", "By nat: answers are routed again after their source was rewritten"),
    row(
        "svc_lfactor",
        { kind: "number", min: -8, max: 8 },
        "-3",
        "Load factor of the table of services, as a power of two, in kernels whose table grows",
    ),
    row("sync_persist_mode", SWITCH, "0", "The sync daemon sends persistence's templates alone where those say it all"),
    row("sync_ports", { kind: "powerOfTwo", max: 2 ** 30 }, "1", "Threads and ports of a sync daemon, a power of two"),
    row(
        "sync_qlen_max",
        { kind: "number", min: 0, max: 2 ** 32 - 1, loose: true },
        undefined,
        "Sync messages that wait at most",
    ),
    row("sync_refresh_period", SECONDS, "0", "Seconds between two sync messages of one unchanged connection; 0: off"),
    row("sync_retries", MODE, "0", "Times that a sync message is repeated"),
    row("sync_sock_size", COUNT, "0", "Bytes of the sync daemon's socket buffer; 0: the system's"),
    row(
        "sync_threshold",
        { kind: "pair" },
        "3 50",
        "A connection is synchronised from its first number of packets on, and then every second number of packets",
    ),
    row(
        "sync_version",
        { kind: "number", min: 0, max: 1 },
        "1",
        "Format of sync messages; 0 is for very old directors",
    ),
];

/** The row of a setting by its full name; undefined: it is not IPVS's, or not known. */
export function vsSetting(key: string): VsSetting | undefined {
    return vsSettings.find(({ name }) => key === `net.ipv4.vs.${name}`);
}

/** Whether a setting takes a value, written as a sysctl's text. */
export function takesValue(takes: Takes, text: string): boolean {
    const value = text.trim();
    const number = /^-?\d+$/.test(value) ? Number(value) : Number.NaN;
    switch (takes.kind) {
        case "number":
            return number >= takes.min && number <= takes.max;
        case "powerOfTwo":
            return number >= 1 && number <= takes.max && Number.isInteger(Math.log2(number));
        case "pair": {
            const [, first, second] = (/^(\d+)\s+(\d+)$/.exec(value) ?? []).map(Number);
            if (first === undefined || second === undefined) return false;
            return first <= INT_MAX && second <= INT_MAX && (first < second || second === 0);
        }
        case "cpus":
            return /^(\d+(-\d+)?(,\d+(-\d+)?)*)?$/.test(value);
    }
}

/** What a setting takes, in words. */
export function takesWords(takes: Takes): string {
    switch (takes.kind) {
        case "number":
            return takes.max - takes.min === 1 ? `${takes.min} or ${takes.max}` : `${takes.min} to ${takes.max}`;
        case "powerOfTwo":
            return `a power of two from 1 to ${takes.max}`;
        case "pair":
            return "two numbers, the first below the second or the second 0";
        case "cpus":
            return "CPUs, such as 0-3,8";
    }
}
