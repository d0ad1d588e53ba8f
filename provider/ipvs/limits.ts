/**
 * The ranges of everything that goes to ipvsadm, as data: schemas, checks and documentation read them here. A value
 * within its range is taken by ipvsadm 1.31 and by the kernel and comes back as it was written; `source` says who draws
 * the line. ipvsadm's own lines are in its ipvsadm.c.
 */
export interface Limit {
    min: number;
    max: number;
    /** Who refuses, drops or rewrites what lies outside. */
    source: string;
}

const DAYS_31 = 31 * 24 * 60 * 60;
const INT_MAX = 2 ** 31 - 1;

export const limits = {
    /** A service's port; 0 is every port, and asks for persistence. */
    servicePort: { min: 0, max: 65535, source: "16 bits on the wire; 0: ip_vs_ctl.c, persistent services only" },
    /** A real server's port; 0 where its service's is 0, and under a firewall mark (the packet's own port). */
    destinationPort: { min: 0, max: 65535, source: "16 bits on the wire" },
    firewallMark: { min: 1, max: 2 ** 32 - 1, source: "ipvsadm parse_fwmark; 0 is no mark" },
    /** 65535 in ipvsadm's own sources: see {@link upstreamWeightMax}. */
    weight: { min: 0, max: INT_MAX, source: "ipvsadm as Debian patches it; the kernel's atomic_t" },
    upperThreshold: { min: 0, max: INT_MAX, source: "ipvsadm -x; 0 is no threshold" },
    /** Never above the upper threshold, which includes: not without one (the kernel answers ERANGE). */
    lowerThreshold: { min: 0, max: INT_MAX, source: "ipvsadm -y; 0 is three quarters of the upper one" },
    persistenceTimeout: { min: 1, max: DAYS_31, source: "ipvsadm -p (seconds)" },
    netmaskIpv4: { min: 0, max: 32, source: "ipvsadm -M takes it dotted; as a prefix length here" },
    netmaskIpv6: { min: 1, max: 128, source: "ipvsadm -M; ip_vs_ctl.c, EINVAL" },
    /** Linux takes an MSS option below TCP_MIN_MSS for TCP_MIN_MSS. */
    tunnelMss: { min: 88, max: 65495, source: "tcp.h, TCP_MIN_MSS; the largest IPv4 packet less its headers" },
    tunnelPort: { min: 1, max: 65535, source: "ipvsadm --tun-port" },
    /** 0 would mean "leave it as it is". */
    timeout: { min: 1, max: DAYS_31, source: "ipvsadm --set (seconds)" },
    syncId: { min: 0, max: 255, source: "ipvsadm --syncid; a byte in the sync message" },
    /** 0 leaves it to the kernel: the interface's MTU less the headers. */
    syncMaxlen: { min: 1, max: 65507, source: "ipvsadm --sync-maxlen; the largest UDP payload over IPv4" },
    /** A smaller one is silently raised. */
    syncMaxlenBackup: { min: 1024, max: 65507, source: "ip_vs_sync.c, start_sync_thread" },
    syncPort: { min: 1, max: 65535, source: "ipvsadm --mcast-port" },
    syncTtl: { min: 1, max: 255, source: "ipvsadm --mcast-ttl" },
    /** log2 of the connection table's size; above 20 on 64-bit kernels from 6.5 on. */
    connTabBits: { min: 8, max: 27, source: "Kconfig IP_VS_TAB_BITS" },
} as const satisfies Record<string, Limit>;

export type LimitName = keyof typeof limits;

/** log2 of the largest connection table before kernel 6.5. */
export const smallTabBits = 20;

/** The largest weight that an ipvsadm without Debian's patch takes. */
export const upstreamWeightMax = 65535;

/** The longest names that fit, without the closing zero: IP_VS_SCHEDNAME_MAXLEN, IP_VS_PENAME_MAXLEN, IFNAMSIZ. */
export const nameLengths = { scheduler: 15, engine: 15, interface: 15 } as const;

/** What ipvsadm fills in, and therefore what this project does. */
export const defaults = {
    scheduler: "wlc",
    /** Seconds. ipvsadm's man page says 300; its sources, and its behaviour, say 360. */
    persistenceTimeout: 360,
    forwarding: "dr",
    weight: 1,
    tunnelType: "ipip",
    syncInterface: "eth0",
    syncId: 0,
    syncGroup: "224.0.0.81",
    syncPort: 8848,
    syncTtl: 1,
    /** Seconds that a real server's connections are waited for: our own. */
    drain: 30,
    /** Seconds, what a kernel starts with. */
    timeouts: { tcp: 900, tcpfin: 120, udp: 300 },
} as const;
